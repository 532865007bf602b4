"""Coupling is found from the graph, removal is exact, criteria and budgets do what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.audio.frontend import FrontEndParameters, log_mel
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures import ARCHITECTURES, build
from kws_imu_ros.lab.architectures.complexity import count
from kws_imu_ros.lab.compression.pruning import (
    CRITERIA,
    Budget,
    Coupling,
    Samples,
    limited,
    prune,
    prune_in_steps,
    scan,
    score,
    select_by_budget,
    select_by_ratio,
)
from kws_imu_ros.lab.compression.pruning.importance import mean_loss
from kws_imu_ros.lab.compression.pruning.magnitude import (
    prune_low_magnitude,
    sparsity,
    stored_bytes,
)
from kws_imu_ros.lab.compression.quantization import tf_keras, to_float32
from kws_imu_ros.lab.data.speech_data import fit_clip, read_audio

WORDS = ('down', 'left', 'right', 'stop')
layers = tf_keras.layers


def randomize(model: tf_keras.Model, seed: int = 0) -> tf_keras.Model:
    """Give every weight a value of its own, so that a wrong slice cannot go unnoticed."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([w * rng.uniform(0.6, 1.4, w.shape) for w in layer.get_weights()])
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def inputs_of(model: tf_keras.Model, size: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=(size, *i.shape[1:])).astype(np.float32) for i in model.inputs]


def outputs_of(model: tf_keras.Model, inputs: list[np.ndarray]) -> np.ndarray:
    return model(inputs if len(inputs) > 1 else inputs[0], training=False).numpy()


def assert_removal_is_exact(model: tf_keras.Model, share: float = 0.4) -> tf_keras.Model:
    """Zero random units, remove them, and compare outputs, counted and predicted cost."""
    coupling = Coupling(model)
    scores = score('random', coupling, Samples(seed=3))
    ratios = {dimension.name: share for dimension in coupling.dimensions}
    removed = select_by_ratio(coupling, scores, ratios)
    assert removed.any()
    inputs = inputs_of(model)
    before = outputs_of(model, inputs)
    smaller = coupling.remove(removed)
    coupling.zero(removed)
    zeroed = outputs_of(model, inputs)
    assert np.abs(zeroed - before).max() > 1e-3, 'the units did nothing: the test proves nothing'
    np.testing.assert_allclose(outputs_of(smaller, inputs), zeroed, rtol=1e-4, atol=1e-5)
    predicted, counted = coupling.cost(removed), count(smaller)
    assert predicted.macs == counted.macs
    assert predicted.parameters == counted.parameters
    assert predicted.bytes == counted.bytes
    assert smaller.count_params() < model.count_params()
    return smaller


@pytest.mark.parametrize('norm', ['batch', 'group'])
@pytest.mark.parametrize('name', sorted(ARCHITECTURES))
def test_removing_zero_channels_changes_no_output(name, norm):
    config = {'norm': norm, 'output': 'logits', 'width': 0.5}
    if name == 'raw_audio_conv1d':
        config['input_shape'] = (800,)
    model = randomize(build(name, config))
    smaller = assert_removal_is_exact(model)
    # What was pruned once can be pruned again: group sizes and shapes are those of the new graph.
    assert_removal_is_exact(randomize(smaller), 0.3)


def squeeze_and_excite(x, channels: int, gate: str):
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    hidden = layers.Conv2D(4, 1, activation='relu')(pooled)
    return layers.Multiply()([x, layers.Conv2D(channels, 1, activation=gate)(hidden)])


def test_every_kind_of_joint_is_exact():
    inputs = tf_keras.Input((12, 8, 1))
    x = layers.Conv2D(8, 3, activation='relu')(inputs)
    x = squeeze_and_excite(x, 8, 'sigmoid')
    y = layers.SeparableConv2D(6, 3, padding='same', depth_multiplier=2)(x)
    y = layers.PReLU(shared_axes=[1, 2])(y)
    x = layers.Concatenate()([x, y])
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation='tanh')(x)
    x = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(x))
    z = layers.Conv2DTranspose(7, 3)(x)
    z = layers.Reshape((-1, 7))(z)
    z = layers.Bidirectional(layers.GRU(5, return_sequences=True))(z)
    z = layers.LSTM(6)(z)
    flat = layers.Flatten()(layers.Permute((3, 1, 2))(x))
    w = layers.Dense(9, activation='gelu')(flat)
    w = layers.Dense(6)(w)
    z = layers.Maximum()([z, w])
    model = randomize(tf_keras.Model(inputs, layers.Dense(3)(z)))
    coupling = Coupling(model)
    assert not [name for name in coupling.frozen if name != model.layers[-1].name]
    assert_removal_is_exact(model)


def test_coupling_is_read_from_the_graph_not_from_names():
    inputs = tf_keras.Input((16, 4))
    a = layers.Conv1D(6, 3, padding='same', name='z')(inputs)
    b = layers.Conv1D(6, 3, padding='same', name='a')(inputs)
    c = layers.Conv1D(5, 3, padding='same', name='block1_conv')(inputs)
    x = layers.Add(name='m')([a, b])
    x = layers.Concatenate(name='q')([x, c])
    x = layers.GlobalAveragePooling1D(name='w')(x)
    coupling = Coupling(tf_keras.Model(inputs, layers.Dense(2, name='block1_conv2')(x)))
    found = {frozenset(d.layers): d.units.size for d in coupling.dimensions}
    assert found == {frozenset({'z', 'a'}): 6, frozenset({'block1_conv'}): 5}
    assert coupling.frozen == {'block1_conv2': 'it is an output of the model'}


def test_a_shared_layer_keeps_one_width():
    inputs = tf_keras.Input((16, 6))
    shared = layers.Conv1D(6, 3, padding='same', activation='relu')
    first = layers.Conv1D(6, 1, activation='relu')(inputs)
    x = shared(shared(first))
    model = randomize(tf_keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))))
    assert [d.units.size for d in Coupling(model).dimensions] == [6]
    assert_removal_is_exact(model)


def freezing_models():
    inputs = tf_keras.Input((8, 4, 2))
    x = layers.Conv2D(4, 1, name='unknown_before')(inputs)
    x = layers.Lambda(lambda t: t[..., ::-1], name='flip')(x)
    yield 'unknown_before', 'Lambda is not known', inputs, x
    x = layers.Conv2D(4, 1, activation='sigmoid', name='never_zero')(inputs)
    yield 'never_zero', 'does not map zero to zero', inputs, x
    x = layers.Conv2D(4, 1, name='normalized')(inputs)
    x = layers.Softmax(name='over_channels')(x)
    yield 'normalized', 'weighs its channels', inputs, x
    x = layers.Conv2D(4, 1, name='grouped', groups=2)(inputs)
    yield 'grouped', 'grouped convolutions', inputs, x
    x = layers.Conv2D(4, 1, name='map')(inputs)
    one = layers.Conv2D(1, 1, name='one_map')(x)
    yield 'one_map', 'spreads it over', inputs, layers.Multiply(name='product')([x, one])
    x = layers.LayerNormalization(name='layer_norm')(layers.Conv2D(4, 1, name='before')(inputs))
    yield 'before', 'LayerNormalization is not known', inputs, x


@pytest.mark.parametrize('case', range(6))
def test_what_cannot_be_pruned_is_refused_with_its_reason(case):
    name, reason, inputs, x = list(freezing_models())[case]
    x = layers.Conv2D(3, 1, name='after')(x)
    x = layers.GlobalAveragePooling2D(name='pool')(x)
    model = tf_keras.Model(inputs, layers.Dense(2, name='end')(x))
    coupling = Coupling(model)
    assert reason in coupling.frozen[name]
    with pytest.raises(KwsImuError, match=f"'{name}' cannot be pruned"):
        select_by_ratio(coupling, score('l1', coupling), {name: 0.5})
    if name != 'grouped':  # TensorFlow trains and runs grouped convolutions on GPUs only.
        assert_removal_is_exact(randomize(model))


def test_models_that_hide_their_graph_are_refused():
    inner = tf_keras.Sequential([layers.Dense(3)])
    inputs = tf_keras.Input((4,))
    with pytest.raises(KwsImuError, match='apply its layers one by one'):
        Coupling(tf_keras.Model(inputs, inner(inputs)))
    with pytest.raises(KwsImuError, match='no functional model'):
        Coupling(type('Subclassed', (tf_keras.Model,), {})())


@pytest.fixture(scope='module')
def words(test_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return log-mel windows of four real words, shifted in time, and their labels."""
    parameters = FrontEndParameters()
    windows, labels = [], []
    for label, word in enumerate(WORDS):
        for path in sorted((test_data / 'speech_commands' / word).glob('*.ogg')):
            clip = fit_clip(read_audio(path))
            for shift in (-1600, -800, 0, 800):
                features = log_mel(np.roll(clip, shift), parameters)[: parameters.frames]
                padding = parameters.frames - len(features)
                features = np.pad(features, ((0, padding), (0, 0)), mode='edge')
                windows.append((features - parameters.offset) / parameters.scale)
                labels.append(label)
    return np.stack(windows).astype(np.float32), np.array(labels)


def train(model: tf_keras.Model, words, epochs: int) -> tf_keras.Model:
    model.compile(tf_keras.optimizers.Adam(5e-3), 'sparse_categorical_crossentropy')
    model.fit(*words, epochs=epochs, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope='module')
def trained(words) -> tf_keras.Model:
    """Return a small residual network that knows the four words."""
    tf_keras.utils.set_random_seed(7)
    # Running statistics of batch normalization would take hundreds of steps to settle.
    config = {'classes': len(WORDS), 'input_shape': (49, 40), 'norm': 'group'}
    return train(build('imu_conv1d', config), words, 15)


@pytest.fixture(scope='module')
def samples(words) -> Samples:
    return Samples([words])


@pytest.mark.parametrize('criterion', sorted(CRITERIA))
def test_criterion_scores_every_prunable_unit(criterion, trained, samples):
    coupling = Coupling(trained)
    before = [w.copy() for w in trained.get_weights()]
    scores = score(criterion, coupling, samples)
    units = np.concatenate([d.units for d in coupling.dimensions])
    assert scores.shape == (coupling.unit_count,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores[units])) > units.size // 2
    for old, new in zip(before, trained.get_weights()):
        np.testing.assert_array_equal(old, new)


# The control aside, a unit that is never active or has no weights must score zero.
@pytest.mark.parametrize('criterion', sorted(set(CRITERIA) - {'random', 'sensitivity'}))
def test_criterion_finds_the_dead_units(criterion, trained, samples):
    model = tf_keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    coupling = Coupling(model)
    dead = np.zeros(coupling.unit_count, bool)
    for dimension in coupling.dimensions:
        dead[dimension.units[1::5]] = True
    coupling.zero(dead)
    scores = score(criterion, coupling, samples)
    for dimension in coupling.dimensions:
        gone = dead[dimension.units]
        assert (scores[dimension.units[gone]] == 0.0).all()
        # A trained network has a few units of its own that never fire.
        assert (scores[dimension.units[~gone]] > 0.0).mean() > 0.5


def test_taylor_and_sensitivity_cost_less_than_random(trained, samples):
    def loss_after(criterion: str, seed: int) -> float:
        coupling = Coupling(trained)
        scores = score(criterion, coupling, Samples(samples.batches, seed=seed))
        removed = select_by_budget(coupling, scores, Budget('parameters', 0.7))
        return mean_loss(coupling.remove(removed), samples)()

    random = np.median([loss_after('random', seed) for seed in range(5)])
    assert loss_after('taylor', 0) < random
    assert loss_after('sensitivity', 0) < random


@pytest.mark.parametrize('kind', ['macs', 'parameters', 'bytes'])
def test_budget_is_met_and_not_overshot(kind, trained):
    coupling = Coupling(trained)
    scores = score('l2', coupling)
    whole = getattr(coupling.cost(), kind)
    removed = select_by_budget(coupling, scores, Budget(kind, 0.7))
    cost = getattr(coupling.cost(removed), kind)
    assert 0.65 * whole < cost <= 0.7 * whole
    absolute = select_by_budget(coupling, scores, Budget(kind, 0.7 * whole))
    np.testing.assert_array_equal(absolute, removed)
    rounded = select_by_budget(coupling, scores, Budget(kind, 0.7, multiple=4))
    assert getattr(coupling.cost(rounded), kind) <= 0.7 * whole
    for dimension in coupling.dimensions:
        assert (~rounded[dimension.units]).sum() % 4 == 0
    assert not select_by_budget(coupling, scores, Budget(kind, 1.0)).any()


@pytest.mark.parametrize('kind', ['macs', 'parameters', 'bytes'])
def test_of_channels_that_matter_alike_the_dear_ones_go(kind, trained):
    coupling = Coupling(trained)
    scores = np.random.default_rng(0).uniform(0.99, 1.01, coupling.unit_count)
    whole = getattr(coupling.cost(), kind)
    plain = select_by_budget(coupling, scores, Budget(kind, 0.6))
    thrifty = select_by_budget(coupling, scores, Budget(kind, 0.6, per_cost=True))
    assert 0.5 * whole < getattr(coupling.cost(thrifty), kind) <= 0.6 * whole
    assert thrifty.sum() < 0.9 * plain.sum()


@pytest.mark.parametrize('multiple', [2, 4])
@pytest.mark.parametrize('kind', ['macs', 'parameters', 'bytes'])
def test_blocks_that_still_fit_are_kept(kind, multiple, trained):
    coupling = Coupling(trained)
    scores = score('l2', coupling)
    limit = 0.6 * getattr(coupling.cost(), kind)
    budget = Budget(kind, limit, multiple=multiple, per_cost=True)
    removed = select_by_budget(coupling, scores, budget)
    assert getattr(coupling.cost(removed), kind) <= limit
    for dimension in coupling.dimensions:
        gone = dimension.units[removed[dimension.units]]
        kept = dimension.units.size - gone.size
        assert kept == dimension.units.size or kept % multiple == 0
        assert (
            not gone.size
            or scores[gone].max() <= scores[dimension.units][~removed[dimension.units]].min()
        ), 'the weakest of a width go'
        more = removed.copy()
        more[gone[np.argsort(scores[gone])[-multiple:]]] = False
        assert not gone.size or getattr(coupling.cost(more), kind) > limit, 'nothing more fits'


def test_impossible_budgets_and_names_are_one_clear_sentence(trained):
    coupling = Coupling(trained)
    scores = score('l1', coupling)
    with pytest.raises(KwsImuError, match=r'cannot be met.*remain'):
        select_by_budget(coupling, scores, Budget('macs', 0.001))
    with pytest.raises(KwsImuError, match=r'cannot be met.*remain'):
        select_by_budget(coupling, scores, Budget('macs', 0.001, per_cost=True))
    with pytest.raises(KwsImuError, match="budget 'watts' is unknown"):
        Budget('watts', 0.5)
    with pytest.raises(KwsImuError, match='must be above 0'):
        Budget('macs', -1)
    with pytest.raises(KwsImuError, match="'nowhere' cannot be pruned"):
        select_by_ratio(coupling, scores, {'nowhere': 0.5})
    with pytest.raises(KwsImuError, match=r'the share to remove is 1\.0'):
        select_by_ratio(coupling, scores, {coupling.dimensions[0].name: 1.0})
    with pytest.raises(KwsImuError, match="criterion 'magic' is unknown"):
        score('magic', coupling)
    with pytest.raises(KwsImuError, match='needs data'):
        score('taylor', coupling)
    everything = np.zeros(coupling.unit_count, bool)
    everything[coupling.dimensions[0].units] = True
    with pytest.raises(KwsImuError, match='would lose all channels'):
        coupling.remove(everything)
    with pytest.raises(KwsImuError, match='in 0 steps'):
        prune(trained, 'l1', Budget('macs', 0.5), steps=0)


def test_scan_orders_layers_and_holds_back_the_budget(trained, samples):
    coupling = Coupling(trained)
    scores = score('l2', coupling)
    before = trained.get_weights()
    seen = []

    def metric(model: tf_keras.Model) -> float:
        return -mean_loss(model, samples)()

    result = scan(coupling, scores, metric, (0.25, 0.75), lambda *done: seen.append(done))
    assert len(result.rows) == 2 * len(coupling.dimensions)
    assert seen[-1] == (len(result.rows), len(result.rows))
    for old, new in zip(before, trained.get_weights()):
        np.testing.assert_array_equal(old, new)
    strictest = result.ratios(-np.inf)
    assert set(strictest.values()) == {0.0}
    first, second = (d.name for d in coupling.dimensions[:2])
    held = limited(coupling, scores, {first: 0.0, second: 0.25})
    removed = select_by_budget(coupling, held, Budget('parameters', 0.6))
    kept = {d.name: (~removed[d.units]).mean() for d in coupling.dimensions}
    assert kept[first] == 1.0
    assert kept[second] >= 0.75


def test_pruning_in_steps_with_fine_tuning_recovers_the_words(trained, words, samples):
    inputs, labels = words
    steps = []

    def fine_tune(model: tf_keras.Model, step: int) -> None:
        steps.append(step)
        train(model, words, 5)

    taken = list(prune_in_steps(trained, 'taylor', Budget('macs', 0.4), samples, 2, fine_tune))
    assert steps == [1, 2]
    small = taken[-1].model
    assert count(small).macs <= 0.4 * count(trained).macs
    assert taken[0].after.macs == taken[1].before.macs > taken[1].after.macs
    accuracy = (small.predict(inputs, verbose=0).argmax(1) == labels).mean()
    assert accuracy >= 0.9
    ratios = {Coupling(trained).dimensions[0].name: 0.5}
    by_ratio = prune(trained, 'l1', ratios, steps=2)
    (kept,) = (by_ratio.widths[name] for name in ratios)
    assert kept == Coupling(trained).dimensions[0].units.size // 2


def test_prune_low_magnitude_zeroes_weights_and_only_gzip_sees_it(trained, words):
    calls = []

    def fit(model: tf_keras.Model) -> None:
        calls.append(model)
        train(model, words, 4)

    steps = 4 * int(np.ceil(len(words[0]) / 16))
    sparse = prune_low_magnitude(trained, 0.8, fit, steps)
    assert len(calls) == 1
    assert sparsity(trained) < 0.01
    assert sparsity(sparse) == pytest.approx(0.8, abs=0.01)
    assert [w.shape for w in sparse.get_weights()] == [w.shape for w in trained.get_weights()]
    dense, zeroed = stored_bytes(to_float32(trained)), stored_bytes(to_float32(sparse))
    assert zeroed.dense == pytest.approx(dense.dense, rel=0.01)
    assert zeroed.gzip < 0.6 * dense.gzip
    with pytest.raises(KwsImuError, match='between 0 and 1'):
        prune_low_magnitude(trained, 1.0, fit, 1)
