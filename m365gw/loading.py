"""What twistd loads as m365gw: `m365gw.twistd`, and no garbage is looked for meanwhile.

Loading makes 120,000 objects, nearly all for as long as the process lives. To look through them for
garbage again and again takes more than a tenth of the time of a start, and later some 50 ms each
time, in which nobody is answered. So Python's collector waits until they are there, and leaves them
out for good. What of them is garbage stays as well: 3 MB.
"""

import gc

gc.disable()
try:
    from m365gw.twistd import Options, makeService
finally:
    gc.freeze()
    gc.enable()

__all__ = ["Options", "makeService"]
