"""Data sets and tasks that tests and studies share."""

from jaxbp.problems.dataset import Examples as Examples
from jaxbp.problems.dataset import Split as Split
from jaxbp.problems.dataset import rescale as rescale
from jaxbp.problems.dataset import split_examples as split_examples
from jaxbp.problems.dataset import stratified_indices as stratified_indices
from jaxbp.problems.digits import digit_images as digit_images
from jaxbp.problems.digits import digits as digits
from jaxbp.problems.digits import digits_of_seeds as digits_of_seeds
from jaxbp.problems.idx import read_idx as read_idx
from jaxbp.problems.idx import write_idx as write_idx
from jaxbp.problems.mnist import load_idx_pair as load_idx_pair
from jaxbp.problems.mnist import load_mnist as load_mnist
from jaxbp.problems.points import MoonsDemo as MoonsDemo
from jaxbp.problems.points import moons as moons
from jaxbp.problems.points import moons_demo as moons_demo
from jaxbp.problems.points import xor as xor
from jaxbp.problems.sequences import adding as adding
from jaxbp.problems.sequences import copy_memory as copy_memory
from jaxbp.problems.sequences import parity as parity
