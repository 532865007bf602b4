"""
Write docs/parameters.md from what the nodes declare.

    .venv/bin/python docs/write_parameters.py

A test compares the file with the declarations.
"""

from __future__ import annotations

from pathlib import Path

from kws_imu_ros.configuration.comparison import EVERY_NODE_S
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.nodes.runtime.parameters import NODES, declarations_of

PATH = Path(__file__).resolve().with_name('parameters.md')

HEAD = """# Parameters

Written by `docs/write_parameters.py` from what the nodes declare; do not edit it. The shipped
values, with comments for teachers, are in `config/`, one file a node. Copy `config/robot.yaml`,
change it, and give it to `ros2 launch kws_imu_ros robot.launch.py params_file:=MINE.yaml` or to
`kws-imu run --params-file MINE.yaml`.

A file is compared with these tables before anything starts. A misspelt parameter or node, a
parameter in the section of another node, and a value of another type or out of range are errors,
with file, line and what to write: ROS itself drops them in silence. A number with a decimal point
needs one (`2.0`, not `2`), as ROS takes no whole number for it. What nobody reads is a warning.

\\* may be changed while the robot runs, for instance
`ros2 param set /command limits.linear.max_velocity 0.15`; the others are fixed at the start.
"""


def text() -> str:
    """Return the file's text."""
    parts = [HEAD]
    for node in NODES:
        parts += [f'\n## {node}\n', _table(declarations_of(node))]
    parts += ['\n## Every node\n', _table(EVERY_NODE_S)]
    return '\n'.join(part.rstrip('\n') + '\n' for part in parts)


def _table(declarations: tuple[Declaration, ...]) -> str:
    rows = [
        '| parameter | what | type | default | range |',
        '|---|---|---|---|---|',
    ]
    for item in declarations:
        mark = '' if item.read_only else r'\*'
        default = f'from `{item.default_from}`' if item.default_from else f'`{_show(item.default)}`'
        limits = ''
        if item.minimum is not None and item.maximum is not None:
            limits = f'{item.minimum:.10g} to {item.maximum:.10g}'
        what = item.description.replace('|', r'\|')
        rows.append(f'| `{item.name}`{mark} | {what} | {item.kind} | {default} | {limits} |')
    return '\n'.join(rows)


def _show(value: object) -> str:
    """Return a value as a parameters file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else repr(value)


if __name__ == '__main__':
    PATH.write_text(text(), encoding='utf-8')
