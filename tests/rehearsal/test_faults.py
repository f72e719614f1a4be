"""Tests of the book of faults."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.faults import Fault, Faults


class FaultsTests(SynchronousTestCase):
    """Which fault strikes when."""

    def test_fault_strikes_as_often_as_ordered(self) -> None:
        """After `skip` cases, `times` times."""
        faults = Faults()
        faults.order(Fault(phase="dot", answer="server-busy", skip=1, times=2))
        struck = [faults.due("dot") is not None for _ in range(5)]
        self.assertEqual(struck, [False, True, True, False, False])
        self.assertEqual(faults.pending, [])

    def test_fault_waits_for_its_names(self) -> None:
        """Other phases and other names do not wake it."""
        faults = Faults()
        fault = faults.order(Fault(phase="rcpt", action="drop", match="*@X.example"))
        self.assertIsNone(faults.due("mail", ("a@x.example",)))
        self.assertIsNone(faults.due("rcpt", ("a@y.example",)))
        self.assertIs(faults.due("rcpt", ("a@y.example", "b@x.example")), fault)

    def test_senseless_faults_are_refused(self) -> None:
        """Unknown fields, phases, answers and numbers are told."""
        faults = Faults()
        for values in (
            {},
            {"phase": "lunch"},
            {"phase": "dot", "answer": "not an answer"},
            {"phase": "dot", "answer": "250 ok\r\n250 injected"},
            {"phase": "dot", "action": "explode"},
            {"phase": "content", "answer": "server-busy"},
            {"phase": "token", "aadsts": 1},
            {"phase": "dot", "answer": "server-busy", "struck": 3},
            {"phase": "dot", "answer": "server-busy", "tmies": 3},
        ):
            with self.assertRaises(ValueError, msg=str(values)):
                faults.order_from(values)
        self.assertEqual(faults.pending, [])
