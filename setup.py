"""Installation of the kws_imu_ros package, by colcon or by pip."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'kws_imu_ros'
ROOT = Path(__file__).resolve().parent
SHARE = Path('share') / PACKAGE
EXECUTABLES = (
    'microphone',
    'imu',
    'fusion',
    'command',
    'simulated_robot',
    'choreographer',
    'coach',
    'replay',
    'robot',
)


def installed_tree(directory):
    """Return data_files entries that install all of a folder below share/, as it is."""
    folders = {}
    for path in sorted(Path(directory).rglob('*')):
        if path.is_file() and '__pycache__' not in path.parts:
            folders.setdefault(path.parent, []).append(str(path))
    return [(str(SHARE / folder), files) for folder, files in folders.items()]


def requirements(name):
    """Return what a file in requirements/ asks for, which has the reason beside each pin."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


# ROS itself comes from apt or from wheels (requirements/ros.txt), never by way of pip's resolver.
PLOTS = [line for line in requirements('runtime') if line.startswith('matplotlib')]

setup(
    name=PACKAGE,
    version='0.2.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['**/*.jinja']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (str(SHARE), ['package.xml']),
        *(
            entry
            for directory in ('launch', 'config', 'models', 'demo', 'urdf', 'worlds')
            for entry in installed_tree(directory)
        ),
    ],
    python_requires='>=3.10',
    install_requires=[line for line in requirements('runtime') if line not in PLOTS],
    extras_require={
        'plots': PLOTS,
        'training': [*requirements('training'), *PLOTS],
    },
    zip_safe=False,
    maintainer='The kws_imu_ros maintainers',
    description='Voice and wrist-gesture control of educational robots.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            f'kws-imu = {PACKAGE}.commands.main:main',
            *(f'{name} = {PACKAGE}.bringup.executables:{name}' for name in EXECUTABLES),
        ],
    },
)
