"""Result files: JSON objects with a kind, read from files and folders."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import read_at_most

MAXIMUM_BYTES = 50_000_000


@dataclass
class Result:
    """One object of a result file, with where it came from."""

    kind: str
    data: dict[str, Any]
    source: str

    def take(self, name: str, kind: type | tuple[type, ...] = object) -> Any:
        """
        Return a field of the result.

        Raises:
            KwsImuError: it is missing or of another type; the sentence names file and field.

        """
        if name not in self.data or not isinstance(self.data[name], kind):
            raise KwsImuError(
                f"{self.source}: a result of kind '{self.kind}' needs a field '{name}' of the "
                'right form; make the file again with this version, or leave it out.'
            )
        return self.data[name]

    def text(self, name: str) -> str:
        """Return an optional field as text, '' without it."""
        return str(self.data.get(name) or '')

    @property
    def file_name(self) -> str:
        """Return the name of the file without its folder."""
        return Path(self.source).name

    @property
    def model_name(self) -> str:
        """Return name and version of the model that an evaluation judged."""
        model = self.data.get('model', {})
        return f'{model.get("name", "model")} {model.get("version", "")}'.strip()


def read_results(paths: Sequence[Path], kinds: Collection[str]) -> list[Result]:
    """
    Read result files, and all ``*.json`` of folders.

    Args:
        paths: files and folders.
        kinds: those that the report knows.

    Raises:
        KwsImuError: a file is missing, too large, not JSON, or of an unknown kind.

    """
    return [_result(data, path, kinds) for path in _files(paths) for data in _objects(_value(path))]


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files named, and those of the folders named."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob('*.json'))
            if not found:
                raise KwsImuError(f'{path} holds no .json result files; give another folder.')
            files += found
        else:
            files.append(path)
    return files


def _value(path: Path) -> Any:
    """Return what a JSON file holds."""
    try:
        content = read_at_most(path, MAXIMUM_BYTES)
        if len(content) > MAXIMUM_BYTES:
            raise KwsImuError(f'{path} is too large for a result file; leave it out.')
        return json.loads(content.decode('utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise KwsImuError(
            f'{path} cannot be read as JSON ({str(error)[:80]}); give result files of kws-imu.'
        ) from error


def _objects(value: Any) -> list[Any]:
    """Return the objects of a file, which holds one or a list of them."""
    return value if isinstance(value, list) else [value]


def _result(data: Any, path: Path, kinds: Collection[str]) -> Result:
    """Return an object of a file as a result of a kind that the report knows."""
    if not isinstance(data, dict):
        raise KwsImuError(f'{path} holds {type(data).__name__} where a result is needed.')
    kind = data.get('kind') or ('evaluation' if 'split' in data else '')
    if not isinstance(kind, str) or kind not in kinds:
        raise KwsImuError(
            f"{path} is of the kind '{kind}', which the report does not know; the kinds are "
            f'{", ".join(kinds)}.'
        )
    return Result(kind, data, str(path))
