A login may have several passwords at a time, each with a label, a last day and networks; `m365gw client list` shows when each was last used, `m365gw client passwd --print` makes one more.
