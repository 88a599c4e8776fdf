// Package cgroups turns limits into requests and measures, freezes, kills and removes cgroup v2 groups.
package cgroups
