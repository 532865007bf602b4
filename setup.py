"""Installation of the kws_imu_ros package, by colcon or by pip."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'kws_imu_ros'
SHARE = Path('share') / PACKAGE
EXECUTABLES = (
    'microphone',
    'imu',
    'fusion',
    'command',
    'simulated_robot',
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


setup(
    name=PACKAGE,
    version='0.1.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
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
    zip_safe=False,
    maintainer='The kws_imu_ros maintainers',
    maintainer_email='kws-imu-ros@example.org',
    description='Voice and wrist-gesture control of educational robots.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            f'kws-imu = {PACKAGE}.commands.main:main',
            *(f'{name} = {PACKAGE}.bringup.executables:{name}' for name in EXECUTABLES),
        ],
    },
)
