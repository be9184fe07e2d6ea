"""A run on disk: open, write, find, resume, load, draw again."""

from fineq.runs.data import DamagedError as DamagedError
from fineq.runs.data import figures_of as figures_of
from fineq.runs.data import to_dataset as to_dataset
from fineq.runs.digest import Identity as Identity
from fineq.runs.digest import identify as identify
from fineq.runs.drawing import redraw as redraw
from fineq.runs.load import FoundRun as FoundRun
from fineq.runs.load import LoadedRun as LoadedRun
from fineq.runs.load import find_runs as find_runs
from fineq.runs.load import load_run as load_run
from fineq.runs.overall import Outcome as Outcome
from fineq.runs.overall import write_overall_summary as write_overall_summary
from fineq.runs.run import Run as Run
from fineq.runs.run import find_run as find_run
from fineq.runs.run import open_run as open_run
