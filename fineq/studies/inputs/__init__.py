"""What the user brings: plants, points and images from files, and functions of modules."""

from fineq.studies.inputs.arrays import Archive as Archive
from fineq.studies.inputs.arrays import load_npz as load_npz
from fineq.studies.inputs.files import Loaded as Loaded
from fineq.studies.inputs.files import named as named
from fineq.studies.inputs.files import regular_file as regular_file
from fineq.studies.inputs.functions import load_function as load_function
from fineq.studies.inputs.images import Images as Images
from fineq.studies.inputs.images import digits as digits
from fineq.studies.inputs.images import load_images as load_images
from fineq.studies.inputs.points import Points as Points
from fineq.studies.inputs.points import load_points as load_points
