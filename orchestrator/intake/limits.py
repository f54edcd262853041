"""How large and how deep a spec may be. Checked before anything is built from a file."""

MAX_JSON_BYTES = 256 * 1024
MAX_YAML_BYTES = 64 * 1024
MAX_DEPTH = 16
MAX_REGEX = 1_000
MAX_PROBLEMS = 100
MAX_ERRORS_READ = 1_000
MIN_INT = -(2**63)
MAX_INT = 2**63 - 1
