All pages were gone over for keyboards, screen readers and phones: a menu, tables that say what they show, durations and sizes as one types them.
