"""What can go wrong when a person's YAML file is read."""

import yaml

# PyYAML's constructors raise more than YAMLError where an explicit tag does not fit its value, as
# in `!!bool maybe` or `!!timestamp soon`.
YAML_PROBLEMS = (
    yaml.YAMLError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    RecursionError,
)
