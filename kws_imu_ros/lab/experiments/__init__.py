"""
The experiments of the compression lab, each run by `kws-imu experiment NAME`.

An experiment is a module with `add_arguments(parser)`, which declares its own options, and
`run(lab, options)`, which returns a result that `kws-imu report` draws (JSON data with `kind`,
`title`, `note`), or a list of them. It gets a `VoiceLab` and the parsed options, among them `steps`
(None, or the number that every training takes instead of its own, to try it out) and `seed`. One
that says `NEEDS_SPEECH = False` gets None instead of the lab.
"""

from __future__ import annotations

# Name: (module, the question that it answers). Modules are imported when they are run.
EXPERIMENTS = {
    'normalization': (
        'kws_imu_ros.lab.experiments.normalization',
        'what group normalization buys at small batches, and what it costs',
    ),
    'folding': (
        'kws_imu_ros.lab.experiments.folding',
        'what is lost and won when group normalization is folded away',
    ),
    'quantization': (
        'kws_imu_ros.lab.experiments.quantization',
        'size, accuracy and latency of one network in every precision',
    ),
    'sensitivity': (
        'kws_imu_ros.lab.experiments.pruning',
        'what each layer of a dense network can lose before the result suffers',
    ),
    'pruning_criteria': (
        'kws_imu_ros.lab.experiments.pruning',
        'which criterion chooses best what to remove, with random as the control',
    ),
    'pruning_tenfold': (
        'kws_imu_ros.lab.experiments.pruning',
        'what ten times fewer parameters cost',
    ),
    'pruning_unstructured': (
        'kws_imu_ros.lab.experiments.pruning',
        'what zeroed weights save beside removed channels',
    ),
    'tutorial_baseline': (
        'kws_imu_ros.lab.experiments.tutorial_baseline',
        'how the shipped model compares with the dense two-branch network of the tutorials',
    ),
    'human_activity': (
        'kws_imu_ros.lab.experiments.human_activity',
        'how well the motion branch tells six activities of people it never met',
    ),
}
