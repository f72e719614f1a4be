"""One round of commit that nobody waits for."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from m365gw.spool.draft import Draft
from m365gw.spool.files import Files
from m365gw.spool.group_sync import GroupSync
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry
from m365gw.spool.round import Round
from tests.spool.cases import CONTENT, ENVELOPE, ORIGIN, SpoolCase

BROKEN = OSError(errno.EIO, "broken")


class ByHand(GroupSync):
    """Files that are synced when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[list[int]] = []
        self.takes = 9  # groups; more are refused
        self._come_back: list[OSError | None] | None = None

    def begin(self, descriptors: Sequence[int]) -> bool:
        if len(self.begun) == self.takes:
            return False
        self.begun.append(list(descriptors))
        return True

    def come_back(self, *results: OSError | None) -> None:
        self._come_back = list(results)

    def results(self) -> list[OSError | None] | None:
        results, self._come_back = self._come_back, None
        return results


class RoundTests(SpoolCase):
    """What is synced in which order, and what may be seen when."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = ByHand()
        self.synced_by_waiting: list[int] = []
        case = self

        class ByHandFiles(Files):
            def __init__(self, path: str) -> None:
                super().__init__(path)
                self.group_sync = case.disk

            def fsync(self, fd: int) -> None:  # type: ignore[override]
                case.synced_by_waiting.append(fd)

        self.reopen(files=ByHandFiles)

    def drafts(self, count: int) -> list[Draft]:
        drafts = [self.spool.draft(ENVELOPE, ORIGIN) for _ in range(count)]
        for draft in drafts:
            draft.write(CONTENT)
            draft.finish()
        return drafts

    def begun(self, drafts: Sequence[Draft]) -> Round:
        begun = self.spool.begin_commit(drafts)
        assert begun is not None
        return begun

    def visible(self) -> list[Entry]:
        return list(self.spool.entries())

    def test_one_file_is_synced_before_its_folder(self) -> None:
        """Only behind both the message can be seen, and may be acknowledged."""
        [draft] = drafts = self.drafts(1)
        fd = draft.fd
        begun = self.begun(drafts)
        self.assertEqual([[fd]], self.disk.begun)
        self.assertIsNone(begun.go_on())
        self.disk.come_back(None)
        self.assertIsNone(begun.go_on())
        self.assertEqual(([], 2), (self.visible(), len(self.disk.begun)))
        self.assertNotEqual([fd], self.disk.begun[1])
        self.disk.come_back(None)
        self.assertEqual(begun.go_on(), self.visible())
        self.assertEqual(1, len(self.visible()))
        self.assertIsNone(begun.go_on())

    def test_many_are_synced_with_their_folder(self) -> None:
        """One wait for the disk, and nothing can be seen before it is over."""
        drafts = self.drafts(3)
        begun = self.begun(drafts)
        self.assertEqual(4, len(self.disk.begun[0]))
        self.assertEqual([], self.visible())
        self.disk.come_back(None, None, None, None)
        self.assertEqual([draft.id for draft in drafts], [one.id for one in begun.go_on() or ()])
        self.assertEqual(3, len(self.visible()))

    def test_failed_file_fails_alone(self) -> None:
        """Its message is refused and gone; the others are taken."""
        begun = self.begun(self.drafts(3))
        self.disk.come_back(None, BROKEN, None, None)
        first, second, third = begun.go_on() or ()
        assert isinstance(second, SpoolError)
        self.assertEqual(451, second.reply.code)
        self.assertEqual({first, third}, set(self.visible()))
        self.assertTrue(self.spool.health.closed)

    def test_failed_folder_refuses_all(self) -> None:
        """No name in it may be counted on, be it one message or many."""
        for count in (1, 2):
            begun = self.begun(self.drafts(count))
            if count == 1:
                self.disk.come_back(None)
                begun.go_on()
                self.disk.come_back(BROKEN)
            else:
                self.disk.come_back(None, None, BROKEN)
            results = begun.go_on() or ()
            self.assertEqual([SpoolError] * count, [type(one) for one in results])
            self.assertEqual([], self.visible())

    def test_half_a_message_is_none(self) -> None:
        """A draft that was given up meanwhile is not synced and does not cost the others."""
        drafts = self.drafts(3)
        drafts[1].discard()
        begun = self.begun(drafts)
        self.assertEqual(3, len(self.disk.begun[0]))
        self.disk.come_back(None, None, None)
        first, second, third = begun.go_on() or ()
        self.assertIsInstance(second, SpoolError)
        self.assertEqual({first, third}, set(self.visible()))

    def test_system_without_it_begins_nothing(self) -> None:
        """Then the same drafts go the way that waits."""
        self.disk.takes = 0
        drafts = self.drafts(2)
        self.assertIsNone(self.spool.begin_commit(drafts))
        self.assertEqual([], self.synced_by_waiting)
        self.assertEqual(set(self.spool.commit(drafts)), set(self.visible()))
        self.assertEqual(3, len(self.synced_by_waiting))

    def test_folder_that_is_not_taken_is_waited_for(self) -> None:
        """A system that refuses between file and folder costs a wait, not the message."""
        self.disk.takes = 1
        begun = self.begun(self.drafts(1))
        self.disk.come_back(None)
        self.assertEqual(begun.go_on(), self.visible())
        self.assertEqual(1, len(self.synced_by_waiting))
