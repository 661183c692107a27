"""The commands of the lab drive a local AWS in another process: they are none themselves."""

import subprocess
import sys


def test_a_command_loads_no_local_aws_which_takes_a_second_and_leaves_files_in_the_temporary_folder() -> None:
    says = "import sys, lab.__main__; print([name for name in sys.modules if name.startswith('ministack')])"
    done = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
