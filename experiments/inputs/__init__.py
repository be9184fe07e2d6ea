"""What the user brings: plants and points from files, and functions from importable modules."""

from experiments.inputs.arrays import Archive as Archive
from experiments.inputs.arrays import load_npz as load_npz
from experiments.inputs.files import Loaded as Loaded
from experiments.inputs.files import named as named
from experiments.inputs.files import regular_file as regular_file
from experiments.inputs.functions import load_function as load_function
from experiments.inputs.points import Points as Points
from experiments.inputs.points import load_points as load_points
