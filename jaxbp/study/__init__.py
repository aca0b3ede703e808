"""What every study shares: cases, rows that survive, tables, figures, provenance."""

from jaxbp.costs.stacked import stacked_bytes as stacked_bytes
from jaxbp.study.base import GAP as GAP
from jaxbp.study.base import QUICK_SETTINGS as QUICK_SETTINGS
from jaxbp.study.base import SETTINGS as SETTINGS
from jaxbp.study.base import Case as Case
from jaxbp.study.base import Options as Options
from jaxbp.study.base import Row as Row
from jaxbp.study.base import Study as Study
from jaxbp.study.base import is_gap as is_gap
from jaxbp.study.command import list_studies as list_studies
from jaxbp.study.command import run as run
from jaxbp.study.command import run_named as run_named
from jaxbp.study.grid import along as along
from jaxbp.study.grid import crossed as crossed
from jaxbp.study.grid import distinct as distinct
from jaxbp.study.grid import grid as grid
from jaxbp.study.grid import numbered as numbered
from jaxbp.study.grid import sweep as sweep
from jaxbp.study.scaling import Scaling as Scaling
from jaxbp.study.scaling import at_the_end as at_the_end
from jaxbp.study.scaling import fit_power as fit_power
from jaxbp.study.scaling import growth as growth
