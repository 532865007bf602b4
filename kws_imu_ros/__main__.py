"""`python -m kws_imu_ros` is `kws-imu`."""

import sys

from kws_imu_ros.commands.main import main

if __name__ == '__main__':
    sys.exit(main())
