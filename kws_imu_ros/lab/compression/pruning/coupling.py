"""
Which channels must go together: the coupling of a network, found from its graph.

Every element of every tensor (without the batch) carries the number of a unit; an array of such
numbers goes through the graph as the tensor would. A layer with free output channels makes new
units; sums and products of tensors join the units of their operands; reshapes, permutations,
concatenations and flattening move them as numpy would. What remains joined in the end is removed
together or not at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.blocks import AxisMean
from kws_imu_ros.lab.architectures.complexity import (
    array_product_macs,
    int8_file_bytes,
    is_fused,
    mac_positions,
)
from kws_imu_ros.lab.architectures.keras_graph import Call, KerasGraph, copy_layer, rebuild
from kws_imu_ros.lab.architectures.normalization import GroupNormalization

_FIXED = 0
_LAYERS = tf_keras.layers

# One number in, one out, no mixing of elements; those with f(0) != 0 are told by evaluation.
_ELEMENTWISE = (
    _LAYERS.Activation,
    _LAYERS.ReLU,
    _LAYERS.LeakyReLU,
    _LAYERS.ELU,
    _LAYERS.ThresholdedReLU,
    _LAYERS.Dropout,
    _LAYERS.SpatialDropout1D,
    _LAYERS.SpatialDropout2D,
    _LAYERS.GaussianNoise,
    _LAYERS.GaussianDropout,
    _LAYERS.ActivityRegularization,
)
# Each channel alone, over positions in time and space.
_SPATIAL = (
    _LAYERS.AveragePooling1D,
    _LAYERS.AveragePooling2D,
    _LAYERS.MaxPooling1D,
    _LAYERS.MaxPooling2D,
    _LAYERS.GlobalAveragePooling1D,
    _LAYERS.GlobalAveragePooling2D,
    _LAYERS.GlobalMaxPooling1D,
    _LAYERS.GlobalMaxPooling2D,
    _LAYERS.ZeroPadding1D,
    _LAYERS.ZeroPadding2D,
    _LAYERS.Cropping1D,
    _LAYERS.Cropping2D,
    _LAYERS.UpSampling1D,
    _LAYERS.UpSampling2D,
)
_MERGE = (
    _LAYERS.Add,
    _LAYERS.Subtract,
    _LAYERS.Multiply,
    _LAYERS.Average,
    _LAYERS.Maximum,
    _LAYERS.Minimum,
)
_CONVOLUTIONS = (_LAYERS.Conv1D, _LAYERS.Conv2D)
_TRANSPOSED = (_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose)
_DEPTHWISE = (_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D)
_SEPARABLE = (_LAYERS.SeparableConv1D, _LAYERS.SeparableConv2D)
_RECURRENT = (_LAYERS.GRU, _LAYERS.LSTM, _LAYERS.SimpleRNN)


@dataclasses.dataclass
class Slices:
    """
    One axis of one weight array whose slices belong to units.

    Attributes:
        layer: the layer's name.
        weight: index in the layer's `get_weights()`.
        axis: axis of that array.
        units: int array, the unit of every slice along the axis.
        role: 'produce' makes the unit's activation, 'through' and 'scale' work on it alone
            (depthwise kernels, normalization), 'consume' reads it.
        tensor: for 'produce' and 'through' the key of the tensor made; for 'consume' of the tensor
            read; else None.

    """

    layer: str
    weight: int
    axis: int
    units: np.ndarray
    role: str
    tensor: int | None = None


@dataclasses.dataclass(frozen=True)
class PruningGroup:
    """
    A width of the network: units that are made by the same layers and can be removed one by one.

    Attributes:
        name: the first layer that makes them.
        units: int array of their numbers.
        layers: every layer whose output channels they are.

    """

    name: str
    units: np.ndarray
    layers: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of a network: MACs of one inference, parameters, estimated bytes of its int8 file."""

    macs: int
    parameters: int
    bytes: int


class Coupling:
    """
    The units of a functional model, their slices of weights, and what cannot be pruned and why.

    Args:
        model: a functional Keras model without models inside.

    Attributes:
        dimensions: tuple of PruningGroup that can be pruned.
        frozen: layer name to the reason why none of its output channels can be removed.
        slices: every Slices of the model.
        unit_count: one more than the highest unit number.

    """

    def __init__(self, model: tf_keras.Model):
        self.model = model
        self.graph = KerasGraph(model)
        self.slices: list[Slices] = []
        self._parent = [_FIXED]
        self._reasons: dict[int, str] = {_FIXED: 'it is not made by a layer with channels'}
        self._units: dict[int, np.ndarray] = {}
        self._nonzero: set[int] = set()
        self._configs: dict[str, Callable[[np.ndarray], dict]] = {}
        self._produced: dict[str, np.ndarray] = {}
        self._refusals: dict[str, str] = {}
        for key in self.graph.inputs:
            self._units[key] = np.zeros(self._shape(key), np.int64)
        for call in self.graph.calls:
            self._walk(call)
        for key in self.graph.outputs:
            self._freeze(self._units[key], 'it is an output of the model')
        self._settle()

    def tensor_units(self, key: int) -> np.ndarray:
        """Return the units of a tensor's elements, an int array of its shape without the batch."""
        return self._units[key]

    def kept(self, units: np.ndarray, removed: np.ndarray) -> np.ndarray:
        """Return the indices along an axis that stay when the units in `removed` go."""
        return np.flatnonzero(~removed[units])

    # Cost and surgery

    def cost(self, removed: np.ndarray | None = None) -> Cost:
        """Return what the network costs once the units marked in `removed` (bool) are gone."""
        axes: dict[tuple[str, int], dict[int, int]] = {}
        if removed is not None:
            for item in self.slices:
                counts = axes.setdefault((item.layer, item.weight), {})
                counts[item.axis] = int((~removed[item.units]).sum())
        sizes = {}
        for name, shapes in self._weight_shapes.items():
            for index, shape in enumerate(shapes):
                counts = axes.get((name, index), {})
                sizes[name, index] = int(
                    np.prod([counts.get(axis, n) for axis, n in enumerate(shape)], dtype=np.int64)
                )
        macs = self._constant_macs
        kernels = channels = 0
        for name, positions in self._positions.items():
            macs += sum(sizes[name, index] * n for index, n in positions.items())
            kernels += sum(sizes[name, index] for index in positions)
            if positions:
                line = self._output_units[name]
                channels += line.size if removed is None else int((~removed[line]).sum())
        parameters = sum(n for key, n in sizes.items() if key not in self._statistics)
        return Cost(macs, parameters, int8_file_bytes(kernels, channels, self._operators))

    def zero(self, removed: np.ndarray, model: tf_keras.Model | None = None) -> None:
        """
        Set the activations of marked units to zero by zeroing the weights that make them.

        Args:
            model: the model whose weights are changed in place; by default the coupling's own.

        """
        model = model or self.model
        arrays: dict[str, list[np.ndarray]] = {}
        for item in self.slices:
            gone = np.flatnonzero(removed[item.units])
            if item.role == 'consume' or not gone.size:
                continue
            if item.layer not in arrays:
                arrays[item.layer] = model.get_layer(item.layer).get_weights()
            array = arrays[item.layer][item.weight]
            array[(slice(None),) * item.axis + (gone,)] = 0.0
        for name, values in arrays.items():
            model.get_layer(name).set_weights(values)

    def remove(self, removed: np.ndarray) -> tf_keras.Model:
        """
        Return a smaller dense model without the units marked in `removed` (bool by unit).

        Equals the model with these units zeroed, to rounding.

        Raises:
            KwsImuError: a frozen unit or all units of a dimension are marked.

        """
        for unit in np.flatnonzero(removed):
            if self._find(int(unit)) in self._reasons:
                raise KwsImuError(
                    f'unit {unit} cannot be removed: {self._reasons[self._find(int(unit))]}'
                )
        for dimension in self.dimensions:
            if removed[dimension.units].all():
                raise KwsImuError(f'{dimension.name} would lose all channels; keep at least one')
        kept: dict[str, list[tuple[int, int, np.ndarray]]] = {}
        for item in self.slices:
            kept.setdefault(item.layer, []).append(
                (item.weight, item.axis, self.kept(item.units, removed))
            )
        replacements, weights = {}, {}
        for layer in self.model.layers:
            if isinstance(layer, _LAYERS.InputLayer):
                continue
            changes = self._configs[layer.name](removed) if layer.name in self._configs else {}
            replacements[layer.name] = copy_layer(layer, **changes)
            arrays = layer.get_weights()
            for weight, axis, indices in kept.get(layer.name, []):
                arrays[weight] = np.take(arrays[weight], indices, axis)
            weights[layer.name] = arrays
        return rebuild(self.model, replacements, weights)

    # Walking the graph

    def _walk(self, call: Call) -> None:
        layer = call.layer
        if isinstance(layer, _SEPARABLE):
            self._separable(call)
        elif isinstance(layer, _DEPTHWISE):
            self._depthwise(call)
        elif isinstance(layer, _TRANSPOSED):
            self._weighted(call, consume_axis=-1, produce_axis=-2)
        elif isinstance(layer, _CONVOLUTIONS) and layer.groups == 1:
            self._weighted(call)
        elif isinstance(layer, _CONVOLUTIONS):
            self._refuse(call, 'grouped convolutions keep their channels')
        elif isinstance(layer, _LAYERS.Dense):
            self._weighted(call)
        elif isinstance(layer, _RECURRENT):
            self._recurrent(call)
        elif isinstance(layer, _LAYERS.Bidirectional):
            self._bidirectional(call)
        elif isinstance(layer, _LAYERS.MultiHeadAttention):
            self._attention(call)
        elif isinstance(layer, _LAYERS.BatchNormalization | GroupNormalization):
            self._normalization(call)
        elif isinstance(layer, _LAYERS.Softmax) or (
            getattr(layer, 'activation', None) is tf_keras.activations.softmax
        ):
            self._softmax(call)
        elif isinstance(layer, _ELEMENTWISE):
            self._elementwise(call)
        elif isinstance(layer, _LAYERS.PReLU):
            self._elementwise(call)
            self._add(call, 0, layer.alpha.shape.rank - 1, self._channels(call.inputs[0]), 'scale')
        elif isinstance(layer, _SPATIAL):
            self._spatial(call)
        elif isinstance(layer, AxisMean):
            self._axis_mean(call)
        elif isinstance(layer, _LAYERS.Reshape | _LAYERS.Flatten):
            self._reshape(call)
        elif isinstance(layer, _LAYERS.Permute):
            units = self._units[call.inputs[0]]
            self._output(call, units.transpose([axis - 1 for axis in layer.dims]))
        elif isinstance(layer, _LAYERS.RepeatVector):
            units = self._units[call.inputs[0]]
            self._output(call, np.repeat(units[None], layer.n, axis=0))
        elif isinstance(layer, _MERGE):
            self._merge(call)
        elif isinstance(layer, _LAYERS.Concatenate):
            self._concatenate(call)
        elif isinstance(layer, _LAYERS.Dot):
            self._dot(call)
        else:
            self._refuse(call, f'{type(layer).__name__} is not known to the pruner')

    def _weighted(self, call: Call, consume_axis: int = -2, produce_axis: int = -1) -> None:
        layer = call.layer
        rank = len(layer.kernel.shape)
        units = self._read(call, call.inputs[0])
        self._add(call, 0, rank + consume_axis, units, 'consume', call.inputs[0])
        made = self._make(call, layer.kernel.shape[produce_axis])
        self._add(call, 0, rank + produce_axis, made, 'produce', call.outputs[0])
        if layer.use_bias:
            self._add(call, 1, 0, made, 'produce')
        field = 'units' if isinstance(layer, _LAYERS.Dense) else 'filters'
        self._configure(layer, field, made)
        self._output_channels_of(call, made)

    def _depthwise(self, call: Call) -> None:
        layer = call.layer
        units = self._channels(call.inputs[0])
        axis = len(layer.depthwise_kernel.shape) - 2
        made = np.repeat(units, layer.depth_multiplier)
        self._add(call, 0, axis, units, 'through', call.outputs[0])
        if layer.use_bias:
            self._add(call, 1, 0, made, 'through')
        self._produced[layer.name] = made
        self._output_channels_of(call, made)

    def _separable(self, call: Call) -> None:
        layer = call.layer
        rank = len(layer.depthwise_kernel.shape)
        units = self._read(call, call.inputs[0])
        self._add(call, 0, rank - 2, units, 'consume', call.inputs[0])
        self._add(call, 1, rank - 2, np.repeat(units, layer.depth_multiplier), 'consume')
        made = self._make(call, layer.filters)
        self._add(call, 1, rank - 1, made, 'produce', call.outputs[0])
        if layer.use_bias:
            self._add(call, 2, 0, made, 'produce')
        self._configure(layer, 'filters', made)
        self._output_channels_of(call, made)

    def _recurrent(self, call: Call) -> None:
        layer = call.layer
        if len(call.inputs) > 1 or layer.return_state:
            self._refuse(call, 'states that go in or out of a recurrent layer are kept')
            return
        units = self._read(call, call.inputs[0])
        made = self._make(call, layer.units)
        self._recurrent_slices(call, layer.weights, units, made, 0)
        self._configure(layer, 'units', made)
        shape = self._shape(call.outputs[0])
        self._output(call, np.broadcast_to(made, shape))

    def _recurrent_slices(self, call: Call, weights, units, made, first: int) -> None:
        gates = np.tile(made, weights[0].shape[1] // made.size)
        self._add(call, first, 0, units, 'consume', call.inputs[0] if first == 0 else None)
        self._add(call, first, 1, gates, 'produce', call.outputs[0] if first == 0 else None)
        self._add(call, first + 1, 0, made, 'consume')
        self._add(call, first + 1, 1, gates, 'produce')
        if len(weights) > 2:
            self._add(call, first + 2, len(weights[2].shape) - 1, gates, 'produce')

    def _bidirectional(self, call: Call) -> None:
        layer = call.layer
        inner = layer.forward_layer
        plain = isinstance(inner, _RECURRENT) and layer.merge_mode == 'concat'
        if not plain or len(call.inputs) > 1 or inner.return_state:
            self._refuse(call, 'only a Bidirectional with concatenated GRU, LSTM or SimpleRNN')
            return
        units = self._read(call, call.inputs[0])
        # One configuration makes both directions, so they lose the same units.
        made = self._make(call, inner.units)
        count = len(inner.weights)
        self._recurrent_slices(call, inner.weights, units, made, 0)
        self._recurrent_slices(call, layer.backward_layer.weights, units, made, count)

        def changes(removed: np.ndarray) -> dict:
            config = layer.get_config()
            kept = int((~removed[self._resolved(made)]).sum())
            nested = {'layer': config['layer'], 'backward_layer': config.get('backward_layer')}
            return {
                key: {**value, 'config': {**value['config'], 'units': kept}}
                for key, value in nested.items()
                if value
            }

        self._configs[layer.name] = changes
        both = np.concatenate([made, made])
        self._output(call, np.broadcast_to(both, self._shape(call.outputs[0])))

    def _attention(self, call: Call) -> None:
        layer = call.layer
        if len(self._shape(call.inputs[0])) != 2:
            self._refuse(call, 'attention over more than one axis')
            return
        names = [weight.name for weight in layer.weights]
        # Keras calls it with (query, value) or (query, value, key).
        query, value, *key = call.inputs if len(call.inputs) > 1 else call.inputs * 2
        sources = {'query': query, 'value': value, 'key': key[0] if key else value}
        made = self._make(call, self._shape(call.outputs[0])[-1])
        for index, name in enumerate(names):
            part = name.split('/')[-2]
            if part in sources and 'kernel' in name:
                units = self._read(call, sources[part])
                self._add(call, index, 0, units, 'consume', sources[part])
            elif part == 'attention_output':
                axis = len(layer.weights[index].shape) - 1
                kernel = 'kernel' in name
                self._add(call, index, axis, made, 'produce', call.outputs[0] if kernel else None)
        self._configs[layer.name] = lambda removed: {
            'output_shape': int((~removed[self._resolved(made)]).sum())
        }
        self._output(call, np.broadcast_to(made, self._shape(call.outputs[0])))

    def _normalization(self, call: Call) -> None:
        layer = call.layer
        rank = len(self._shape(call.inputs[0]))
        if isinstance(layer, _LAYERS.BatchNormalization) and list(layer.axis) != [rank]:
            self._refuse(call, 'batch normalization of another axis than the last')
            return
        units = self._channels(call.inputs[0])
        for index in range(len(layer.weights)):
            self._add(call, index, 0, units, 'scale')
        if isinstance(layer, GroupNormalization):

            def changes(removed: np.ndarray) -> dict:
                kept = self.kept(self._resolved(units), removed)
                assignment = np.asarray(layer.assignment)[kept]
                return {'assignment': assignment.tolist(), 'group_sizes': layer.group_sizes}

            self._configs[layer.name] = changes
        self._output(call, np.broadcast_to(units, self._shape(call.outputs[0])))

    def _softmax(self, call: Call) -> None:
        units = self._units[call.inputs[0]]
        axis = getattr(call.layer, 'axis', -1)
        if isinstance(axis, int):
            axis = axis - 1 if axis > 0 else axis
            if not _uniform(units, axis):
                self._freeze(units, f'{call.layer.name} weighs its channels against each other')
        else:
            self._freeze(units, f'{call.layer.name} is a softmax over several axes')
        self._output(call, units)
        self._nonzero.add(call.outputs[0])

    def _elementwise(self, call: Call) -> None:
        self._output(call, self._units[call.inputs[0]])
        self._keep_zero_flag(call)
        activation = getattr(call.layer, 'activation', None)
        if activation is not None and not _keeps_zero(activation):
            self._nonzero.add(call.outputs[0])

    def _spatial(self, call: Call) -> None:
        if getattr(call.layer, 'data_format', 'channels_last') == 'channels_first':
            self._refuse(call, 'channels_first layout')
            return
        units = self._channels(call.inputs[0])
        self._output(call, np.broadcast_to(units, self._shape(call.outputs[0])))
        self._keep_zero_flag(call)

    def _axis_mean(self, call: Call) -> None:
        units = self._units[call.inputs[0]]
        axis = call.layer.axis - 1 if call.layer.axis > 0 else call.layer.axis
        if not _uniform(units, axis):
            self._freeze(units, f'{call.layer.name} averages over its channels')
        self._output(call, np.take(units, [0], axis))
        self._keep_zero_flag(call)

    def _reshape(self, call: Call) -> None:
        layer = call.layer
        units = self._units[call.inputs[0]].reshape(self._shape(call.outputs[0]))
        self._output(call, units)
        self._keep_zero_flag(call)
        if isinstance(layer, _LAYERS.Flatten):
            return
        # The kept elements must fill a box again: units may vary along one axis only.
        varying = [axis for axis in range(units.ndim) if not _uniform(units, axis)]
        if len(varying) > 1:
            self._freeze(units, f'{layer.name} spreads its channels over several axes')
        else:
            axis = varying[0] if varying else 0
            line = units[tuple(slice(None) if a == axis else 0 for a in range(units.ndim))]

            def changes(removed: np.ndarray) -> dict:
                shape = list(units.shape)
                if varying:
                    shape[axis] = int((~removed[self._resolved(line)]).sum())
                return {'target_shape': tuple(shape)}

            self._configs[layer.name] = changes

    def _merge(self, call: Call) -> None:
        layer = call.layer
        product = isinstance(layer, _LAYERS.Multiply)
        operands = [self._units[key] for key in call.inputs]
        rank = max(units.ndim for units in operands)
        operands = [u.reshape((1,) * (rank - u.ndim) + u.shape) for u in operands]
        result = operands[0]
        for units in operands[1:]:
            result = self._broadcast(layer, result, units, product)
        self._output(call, result)
        flags = [key in self._nonzero for key in call.inputs]
        if all(flags) if product else any(flags):
            self._nonzero.add(call.outputs[0])

    def _broadcast(self, layer, first: np.ndarray, second: np.ndarray, product: bool) -> np.ndarray:
        for axis in range(first.ndim):
            if first.shape[axis] == second.shape[axis]:
                continue
            narrow, wide = (first, second) if first.shape[axis] == 1 else (second, first)
            if _uniform(wide, axis):
                continue
            # A map of one channel, spread over all channels: it is no width of the network.
            self._freeze(narrow, f'{layer.name} spreads it over other channels')
            if not product:
                self._freeze(wide, f'{layer.name} adds one value to all of its channels')
            shape = np.broadcast_shapes(first.shape, second.shape)
            return np.broadcast_to(wide, shape)
        first, second = np.broadcast_arrays(first, second)
        self._join(first, second, layer.name)
        return first

    def _concatenate(self, call: Call) -> None:
        operands = [self._units[key] for key in call.inputs]
        rank = operands[0].ndim
        axis = call.layer.axis - 1 if call.layer.axis > 0 else call.layer.axis + rank
        if axis != rank - 1:
            lines = [self._channels(key) for key in call.inputs]
            for line in lines[1:]:
                self._join(lines[0], line, call.layer.name)
        self._output(call, np.concatenate(operands, axis))
        self._keep_zero_flag(call)

    def _dot(self, call: Call) -> None:
        layer = call.layer
        axes = layer.axes if isinstance(layer.axes, list | tuple) else (layer.axes, layer.axes)
        first, second = (self._units[key] for key in call.inputs)
        axes = [axis - 1 if axis > 0 else axis + u.ndim for axis, u in zip(axes, (first, second))]
        outer = []
        lines = []
        for units, axis in zip((first, second), axes):
            others = [a for a in range(units.ndim) if a != axis]
            lines.append(units[tuple(slice(None) if a == axis else 0 for a in range(units.ndim))])
            contracted_varies = not _uniform(units, axis)
            if contracted_varies and any(not _uniform(units, a) for a in others):
                self._freeze(units, f'{layer.name} contracts one of several axes with channels')
            outer.append(np.take(units, 0, axis) if not contracted_varies else None)
        self._join(lines[0], lines[1], layer.name)
        parts = []
        for units, axis, kept in zip((first, second), axes, outer):
            shape = tuple(n for a, n in enumerate(units.shape) if a != axis)
            parts.append(kept if kept is not None else np.zeros(shape, np.int64))
        left, right = parts
        result = np.zeros(left.shape + right.shape, np.int64)
        left_wide = left.reshape(left.shape + (1,) * right.ndim)
        right_wide = right.reshape((1,) * left.ndim + right.shape)
        if not right.any():
            result = np.broadcast_to(left_wide, result.shape)
        elif not left.any():
            result = np.broadcast_to(right_wide, result.shape)
        else:
            self._freeze(left, f'{layer.name} multiplies channels with channels')
            self._freeze(right, f'{layer.name} multiplies channels with channels')
        self._output(call, result.reshape(self._shape(call.outputs[0])))

    def _refuse(self, call: Call, why: str) -> None:
        reason = f'{call.layer.name}: {why}'
        for key in call.inputs:
            self._freeze(self._units[key], reason)
        for key in call.outputs:
            self._units[key] = np.zeros(self._shape(key), np.int64)
            self._nonzero.add(key)
        if call.layer.weights:
            self._produced[call.layer.name] = np.zeros(1, np.int64)
            self._refusals[call.layer.name] = why

    # Units

    def _make(self, call: Call, count: int) -> np.ndarray:
        """Return the units that a layer makes: new ones at its first call, the same afterwards."""
        name = call.layer.name
        if name not in self._produced:
            first = len(self._parent)
            self._parent.extend(range(first, first + int(count)))
            self._produced[name] = np.arange(first, first + int(count))
        activation = getattr(call.layer, 'activation', None)
        recurrent = isinstance(call.layer, _RECURRENT)
        if activation is not None and not recurrent and not _keeps_zero(activation):
            self._nonzero.add(call.outputs[0])
        return self._produced[name]

    def _read(self, call: Call, key: int) -> np.ndarray:
        """Return the units of a tensor's last axis for a layer that mixes them."""
        units = self._channels(key)
        if key in self._nonzero:
            self._freeze(units, f'an activation before {call.layer.name} does not map zero to zero')
        return units

    def _channels(self, key: int) -> np.ndarray:
        """Return the units along the last axis; freeze them when they vary along others."""
        units = self._units[key]
        for axis in range(units.ndim - 1):
            if not _uniform(units, axis):
                self._freeze(units, 'a layer mixes positions whose channels differ')
                return np.zeros(units.shape[-1], np.int64)
        return units.reshape((-1, units.shape[-1]))[0]

    def _add(self, call: Call, weight: int, axis: int, units, role: str, tensor=None) -> None:
        for item in self.slices:
            if (item.layer, item.weight, item.axis) == (call.layer.name, weight, axis):
                # A shared layer: what goes into each of its calls is one width.
                self._join(item.units, units, call.layer.name)
                return
        self.slices.append(Slices(call.layer.name, weight, axis, units, role, tensor))

    def _configure(self, layer, field: str, made: np.ndarray) -> None:
        self._configs[layer.name] = lambda removed: {
            field: int((~removed[self._resolved(made)]).sum())
        }

    def _output(self, call: Call, units: np.ndarray) -> None:
        self._units[call.outputs[0]] = units

    def _output_channels_of(self, call: Call, made: np.ndarray) -> None:
        self._output(call, np.broadcast_to(made, self._shape(call.outputs[0])))

    def _keep_zero_flag(self, call: Call) -> None:
        if any(key in self._nonzero for key in call.inputs):
            self._nonzero.add(call.outputs[0])

    def _shape(self, key: int) -> tuple[int, ...]:
        return tuple(1 if n is None else int(n) for n in self.graph.shapes[key][1:])

    def _find(self, unit: int) -> int:
        root = unit
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[unit] != root:
            self._parent[unit], unit = root, self._parent[unit]
        return root

    def _join(self, first: np.ndarray, second: np.ndarray, name: str) -> None:
        pairs = np.unique(np.stack([first.ravel(), second.ravel()], axis=1), axis=0)
        for pair in pairs:
            left, right = sorted(self._find(int(unit)) for unit in pair)
            if left == right:
                continue
            if left == _FIXED:
                self._freeze(np.array([right]), f'{name} ties it to what has no free channels')
                continue
            self._parent[right] = left
            if right in self._reasons:
                self._reasons.setdefault(left, self._reasons[right])

    def _freeze(self, units: np.ndarray, reason: str) -> None:
        for unit in np.unique(units):
            root = self._find(int(unit))
            self._reasons.setdefault(root, reason)

    def _resolved(self, units: np.ndarray) -> np.ndarray:
        return np.array([self._find(int(unit)) for unit in units.ravel()]).reshape(units.shape)

    def _settle(self) -> None:
        """Give units the numbers of their representatives; find dimensions, costs and refusals."""
        roots = self._resolved(np.arange(len(self._parent)))
        for item in self.slices:
            item.units = roots[item.units]
        self._units = {key: roots[units] for key, units in self._units.items()}
        self._produced = {name: roots[units] for name, units in self._produced.items()}
        self.unit_count = len(roots)
        self.frozen: dict[str, str] = dict(self._refusals)
        makers: dict[str, np.ndarray] = {}
        for item in self.slices:
            if item.role == 'produce':
                makers.setdefault(item.layer, item.units)
        parent: dict[int, int] = {}
        for name, units in makers.items():
            free = [int(u) for u in np.unique(units) if u not in self._reasons]
            if not free:
                self.frozen[name] = self._reasons[int(units[0])]
                continue
            for unit in free:
                parent.setdefault(unit, unit)
                _link(parent, free[0], unit)
        members: dict[int, list[int]] = {}
        for unit in sorted(parent):
            members.setdefault(_top(parent, unit), []).append(unit)
        dimensions = []
        for units in members.values():
            array = np.array(units)
            layers = tuple(name for name, made in makers.items() if np.isin(made, array).any())
            dimensions.append(PruningGroup(layers[0], array, layers))
        self.dimensions = tuple(dimensions)
        self._measure()

    def _measure(self) -> None:
        self._weight_shapes, self._statistics = {}, set()
        self._positions: dict[str, dict[int, int]] = {}
        self._output_units: dict[str, np.ndarray] = {}
        self._constant_macs = self._operators = 0
        for layer in self.model.layers:
            self._weight_shapes[layer.name] = [tuple(w.shape) for w in layer.weights]
            if isinstance(layer, _LAYERS.BatchNormalization):
                for index, weight in enumerate(layer.weights):
                    if weight is layer.moving_mean or weight is layer.moving_variance:
                        self._statistics.add((layer.name, index))
        for call in self.graph.calls:
            shapes = [self.graph.shapes[key] for key in call.inputs]
            output = self.graph.shapes[call.outputs[0]]
            total = self._positions.setdefault(call.layer.name, {})
            for index, n in mac_positions(call.layer, shapes[0], output).items():
                total[index] = total.get(index, 0) + n
            self._constant_macs += array_product_macs(call.layer, shapes)
            self._operators += not is_fused(call.layer)
            units = self._units[call.outputs[0]]
            self._output_units[call.layer.name] = units.reshape((-1, units.shape[-1]))[0]


def _uniform(units: np.ndarray, axis: int) -> bool:
    return bool((units == np.take(units, [0], axis)).all())


def _keeps_zero(activation: Callable) -> bool:
    if activation is tf_keras.activations.softmax:
        return False
    return abs(float(activation(tf.zeros((1, 1)))[0, 0])) == 0.0


def _top(parent: dict[int, int], unit: int) -> int:
    while parent[unit] != unit:
        unit = parent[unit]
    return unit


def _link(parent: dict[int, int], first: int, second: int) -> None:
    first, second = _top(parent, first), _top(parent, second)
    if first != second:
        parent[max(first, second)] = min(first, second)
