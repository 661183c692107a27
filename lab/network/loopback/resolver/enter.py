"""Runs the command `python … -m module arguments` in this process, which is put into a VPC first (sitecustomize.py).

The lab starts functions without Python's site module, lest they see the lab's own packages; but it is the site module
that imports sitecustomize. Programs in Python that a function starts import it by themselves.
"""

import importlib
import os
import runpy
import sys

importlib.import_module("sitecustomize")
command = sys.argv[1:]
module = command.index("-m") + 1
sys.argv = command[module:]
# What `python -m` has there.
sys.path[0] = os.getcwd()
runpy.run_module(command[module], run_name="__main__", alter_sys=True)
