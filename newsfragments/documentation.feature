The documentation as a site (`make docs`), with guides for connecting devices and programs and for operating, and a configuration reference written from the code.
