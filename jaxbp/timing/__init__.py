"""Times that can be trusted: warm, waited for, repeated, paired, under a roof."""

from jaxbp.timing.clock import Ratio as Ratio
from jaxbp.timing.clock import Timing as Timing
from jaxbp.timing.clock import interleave as interleave
from jaxbp.timing.clock import paired as paired
from jaxbp.timing.clock import time_calls as time_calls
from jaxbp.timing.compilation import Memory as Memory
from jaxbp.timing.compilation import Stages as Stages
from jaxbp.timing.compilation import memory as memory
from jaxbp.timing.compilation import stages as stages
from jaxbp.timing.compilation import time_traces as time_traces
from jaxbp.timing.compilation import xla_columns as xla_columns
from jaxbp.timing.compilation import xla_flops as xla_flops
from jaxbp.timing.device import DeviceFacts as DeviceFacts
from jaxbp.timing.device import allocated_peak_bytes as allocated_peak_bytes
from jaxbp.timing.device import device_facts as device_facts
from jaxbp.timing.device import find_device as find_device
from jaxbp.timing.device import load as load
from jaxbp.timing.modes import TimeReport as TimeReport
from jaxbp.timing.modes import TimeRow as TimeRow
from jaxbp.timing.modes import table as table
from jaxbp.timing.roofs import Roofs as Roofs
from jaxbp.timing.roofs import device_roofs as device_roofs
from jaxbp.timing.roofs import matmul_peak as matmul_peak
from jaxbp.timing.roofs import memory_bandwidth as memory_bandwidth
from jaxbp.timing.roofs import refusal as refusal
from jaxbp.timing.roofs import roof_fraction as roof_fraction
