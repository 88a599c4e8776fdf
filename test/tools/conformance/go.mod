// The OCI's own tests of runtimes, for test/conformance.
module glassbox/test/tools/conformance

go 1.26.0

require github.com/opencontainers/runtime-tools v0.9.1-0.20221107090550-2e043c6bd626
