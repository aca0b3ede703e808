"""Past one device: meshes and layouts, many processes, state saved from all of them.

JAX's own sharding and its own processes (`jax.sharding`, `jax.distributed`), started by
whatever starts them already; here is only what training, saving and studies must know
of them.
"""

from .connect import connect as connect
from .launched import Place as Place
from .launched import launched as launched
from .layout import Layout as Layout
from .mesh import make_mesh as make_mesh
from .processes import ALONE as ALONE
from .processes import Processes as Processes
from .processes import ProcessLost as ProcessLost
from .specs import fully_sharded as fully_sharded
from .specs import spec_tree as spec_tree
from .specs import tensor_sharded as tensor_sharded
