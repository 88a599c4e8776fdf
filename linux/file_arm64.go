package linux

// largeFile is O_LARGEFILE as the kernel knows it; the C library's is 0 here.
const largeFile = 0o400000
