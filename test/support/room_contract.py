"""The import-linter contract of one room: what it may import of ours and which libraries."""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

PACKAGE = 'kws_imu_ros'
# Everybody's.
GROUND = frozenset({'errors', 'resources', ''})
# What the library `ros` stands for.
ROS = frozenset(
    {
        'ament_index_python',
        'diagnostic_msgs',
        'geometry_msgs',
        'nav_msgs',
        'rcl_interfaces',
        'rclpy',
        'rosgraph_msgs',
        'sensor_msgs',
        'std_msgs',
        'std_srvs',
        'tf2_msgs',
    }
)


class RoomContract(Contract):
    """
    One row of the table in CONTRIBUTING.

    A room's modules, those of the rooms inside it left out, import directly nothing of the package
    but `imports` and the ground, and of everything else only the standard library and `libraries`.
    Imports inside functions count like those at the top.
    """

    type_name = 'room'

    room = fields.StringField()
    imports = fields.ListField(subfield=fields.StringField(), required=False)
    libraries = fields.ListField(subfield=fields.StringField(), required=False)
    # Rooms inside this one that have rows of their own.
    without = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return whether the row is true, and the imports that break it."""
        allowed = {self.room, *(self.imports or [])}
        libraries = set(self.libraries or [])
        broken = [
            (importer, imported)
            for importer in sorted(graph.modules)
            if self._holds(importer)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not _is_allowed(imported, allowed, libraries)
        ]
        return ContractCheck(kept=not broken, metadata={'broken': broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line for each import that breaks the row."""
        for importer, imported in check.metadata['broken']:
            output.print_error(f'{importer} imports {imported}', bold=False)
        output.new_line()

    def _holds(self, module: str) -> bool:
        inside = _is_inside(module, f'{PACKAGE}.{self.room}')
        return inside and not any(
            _is_inside(module, f'{PACKAGE}.{room}') for room in self.without or []
        )


def _is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f'{package}.')


def _is_allowed(module: str, rooms: set[str], libraries: set[str]) -> bool:
    root, _, rest = module.partition('.')
    if root != PACKAGE:
        return (
            root in sys.stdlib_module_names
            or root in libraries
            or ('ros' in libraries and root in ROS)
        )
    return rest in GROUND or any(_is_inside(rest, room) for room in rooms)
