`m365gw demo` prints how a fault of the pretend Microsoft is ordered and ended, and tells incidents with what to do and who must.
