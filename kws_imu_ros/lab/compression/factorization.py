"""
Low-rank factorization of dense and pointwise layers by singular value decomposition.

A dense layer of a x b weights becomes two of a x r and r x b. It pays where r (a + b) < a b, and
only such layers are touched. The outer layer keeps the old one's name, so heads keep theirs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression.quantization import tf_keras

REDUCED = '_reduced'


@dataclass(frozen=True)
class Factorization:
    """
    What happened to one layer.

    energy: share of the squared singular values that the kept ones hold, 0 to 1. rank equals
    full_rank where the layer was left as it is.
    """

    layer: str
    rank: int
    full_rank: int
    parameters_before: int
    parameters_after: int
    energy: float


def _matrix(layer: tf_keras.layers.Layer) -> np.ndarray:
    """Return the kernel of a dense or pointwise layer as a matrix (inputs, outputs)."""
    kernel = layer.get_weights()[0]
    return kernel.reshape(-1, kernel.shape[-1])


def _is_factorizable(layer: tf_keras.layers.Layer, pointwise: bool) -> bool:
    """Tell whether a layer is a matrix product whose rank can be lowered."""
    if type(layer) is tf_keras.layers.Dense:
        return True
    return (
        pointwise
        and type(layer) in (tf_keras.layers.Conv1D, tf_keras.layers.Conv2D)
        and set(layer.kernel_size) == {1}
        and layer.groups == 1
    )


def _largest_rank(rows: int, columns: int) -> int:
    """Return the largest rank at which two factors are smaller than the matrix, maybe 0."""
    return (rows * columns - 1) // (rows + columns)


def factorize(
    model: tf_keras.Model,
    energy: float | None = None,
    parameters: int | None = None,
    pointwise: bool = False,
) -> tuple[tf_keras.Model, list[Factorization]]:
    """
    Return a new model with low-rank dense layers, and what was done to each layer.

    model: functional or sequential; it is not changed.
    energy: share of the squared singular values to keep in every layer (0 to 1], or
    parameters: the whole model's budget; directions are then spent where they carry most energy a
        parameter. Give one of the two.
    pointwise: factorize 1x1 convolutions as well as dense layers.

    Raises:
        KwsImuError: neither or both goals given, energy out of range, a budget that rank 1
            everywhere still exceeds, or nothing to factorize.

    """
    if (energy is None) == (parameters is None):
        raise KwsImuError('Factorization needs either an energy or a parameter budget, not both.')
    if energy is not None and not 0.0 < energy <= 1.0:
        raise KwsImuError(f'Factorization energy is {energy}; give a share above 0, at most 1.')
    if isinstance(model, tf_keras.Sequential):
        model = tf_keras.Model(model.inputs, model.outputs, name=model.name)
    layers = [layer for layer in model.layers if _is_factorizable(layer, pointwise)]
    if not layers:
        raise KwsImuError(f"Model '{model.name}' has no dense layer to factorize.")
    decompositions = {
        layer.name: np.linalg.svd(_matrix(layer), full_matrices=False) for layer in layers
    }
    if energy is not None:
        ranks = {
            name: _rank_by_energy(singular, energy)
            for name, (_, singular, _) in decompositions.items()
        }
    else:
        ranks = _ranks_by_budget(model, layers, decompositions, parameters)
    reports, chosen = [], {}
    for layer in layers:
        left, singular, right = decompositions[layer.name]
        rows, columns = left.shape[0], right.shape[1]
        rank, full = ranks[layer.name], len(singular)
        biases = layer.count_params() - rows * columns
        if rank > _largest_rank(rows, columns):
            rank = full
        else:
            chosen[layer.name] = rank
        after = layer.count_params() if rank == full else rank * (rows + columns) + biases
        reports.append(
            Factorization(
                layer.name, rank, full, layer.count_params(), after, _energy(singular, rank)
            )
        )
    return _rebuild(model, chosen, decompositions), reports


def _energy(singular: np.ndarray, rank: int) -> float:
    """Return the share of energy in the first `rank` singular values; 1 for a zero matrix."""
    squares = singular.astype(np.float64) ** 2
    return float(squares[:rank].sum() / squares.sum()) if squares.any() else 1.0


def _rank_by_energy(singular: np.ndarray, energy: float) -> int:
    """Return the smallest rank that keeps at least this share of the energy."""
    squares = singular.astype(np.float64) ** 2
    if not squares.any():
        return 1
    shares = np.cumsum(squares) / squares.sum()
    # The last share may round to just below 1.
    return int(np.searchsorted(shares, min(energy, shares[-1]))) + 1


def _ranks_by_budget(
    model: tf_keras.Model,
    layers: list[tf_keras.layers.Layer],
    decompositions: dict[str, tuple],
    budget: int,
) -> dict[str, int]:
    """Spend a parameter budget greedily, each direction by its share of energy a parameter."""
    ranks, cost, candidates = {}, model.count_params(), []
    for layer in layers:
        left, singular, right = decompositions[layer.name]
        rows, columns = left.shape[0], right.shape[1]
        if _largest_rank(rows, columns) < 1:
            ranks[layer.name] = len(singular)
            continue
        ranks[layer.name] = 1
        cost += rows + columns - rows * columns
        squares = singular.astype(np.float64) ** 2
        total = squares.sum() or 1.0
        candidates += [
            (squares[i] / total / (rows + columns), -i, layer.name, rows, columns)
            for i in range(1, len(singular))
        ]
    if cost > budget:
        raise KwsImuError(
            f"Model '{model.name}' keeps {cost} parameters with every dense layer at rank 1, more "
            f'than the budget of {budget}; raise the budget or prune channels first.'
        )
    closed: set[str] = set()
    for _, _, name, rows, columns in sorted(candidates, reverse=True):
        if name in closed:
            continue
        if ranks[name] + 1 > _largest_rank(rows, columns):
            # From here on the plain matrix is the cheaper form: take it whole, or stop.
            whole = rows * columns - ranks[name] * (rows + columns)
            closed.add(name)
            if cost + whole <= budget:
                ranks[name] = min(rows, columns)
                cost += whole
        elif cost + rows + columns <= budget:
            ranks[name] += 1
            cost += rows + columns
        else:
            closed.add(name)
    return ranks


def _rebuild(
    model: tf_keras.Model, ranks: dict[str, int], decompositions: dict[str, tuple]
) -> tf_keras.Model:
    """Return a copy of a functional model in which the layers of `ranks` are pairs of factors."""
    config = copy.deepcopy(model.get_config())
    entries = []
    for entry in config['layers']:
        name = entry['name']
        if name not in ranks:
            entries.append(entry)
            continue
        reduced = copy.deepcopy(entry)
        reduced['name'] = reduced['config']['name'] = name + REDUCED
        size = 'units' if entry['class_name'] == 'Dense' else 'filters'
        reduced['config'].update({size: ranks[name], 'use_bias': False, 'activation': 'linear'})
        reduced['config']['kernel_regularizer'] = None
        # A shared layer is called several times; each call of the outer one follows the like call
        # of the inner one.
        entry['inbound_nodes'] = [
            [[name + REDUCED, call, 0, {}]] for call in range(len(entry['inbound_nodes']))
        ]
        if 'strides' in entry['config']:
            entry['config']['strides'] = [1] * len(entry['config']['strides'])
        if entry.get('build_config'):
            entry['build_config'] = reduced['build_config'] = None
        entries += [reduced, entry]
    config['layers'] = entries
    rebuilt = tf_keras.Model.from_config(config)
    for layer in rebuilt.layers:
        if layer.name in ranks:
            left, singular, right = decompositions[layer.name]
            rank = ranks[layer.name]
            # The square root on both sides keeps the two factors in one range, which int8 likes.
            root = np.sqrt(singular[:rank])
            old = model.get_layer(layer.name).get_weights()
            inner = rebuilt.get_layer(layer.name + REDUCED)
            inner.set_weights([(left[:, :rank] * root).reshape(inner.get_weights()[0].shape)])
            outer = (root[:, None] * right[:rank]).reshape(layer.get_weights()[0].shape)
            layer.set_weights([outer, *old[1:]])
        elif not layer.name.endswith(REDUCED) or layer.name.removesuffix(REDUCED) not in ranks:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return rebuilt
