// Package volume keeps named data that outlives containers: directories, filled from images, mounted from elsewhere, limited.
package volume
