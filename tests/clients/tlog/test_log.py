#!/usr/bin/env python3
"""The audit log as others check it: by aics-tlog, which shares no code with Quaymaster.

Run by `scripts/test-clients.sh tlog`, beside a gateway that serves the demo and goes on writing.
"""

import asyncio
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python_sdk"))

from aics_tlog import (  # noqa: E402
    FileSystemTileReader,
    TileVerificationError,
    audit_tiles,
    parse_checkpoint,
    parse_note,
    read_vkey_file,
    sign_checkpoint,
    verify_checkpoint,
    verify_leaf_inclusion,
)
from aics_tlog.tiles import parse_entry_bundle  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from peer import MODERN, call, over_http  # noqa: E402

SCRATCH = pathlib.Path(os.environ["QM_SCRATCH"])
CONFIG = pathlib.Path(os.environ["QM_CONFIG"])
BIN = os.environ["QM_BIN"]


def quaymaster(*arguments, config=CONFIG, check=True):
    command = [BIN, "audit", *arguments]
    if config:
        command += ["--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def tlog(*arguments):
    """The exit code and the answer of the verifier's command line."""
    command = [sys.executable, "-m", "aics_tlog", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout)


async def make_calls(count):
    async with over_http(MODERN, "analyst") as client:
        for _ in range(count):
            result = await call(client, "allowed")
            assert not result.is_error, result
    return result.structured_content["audit_id"]


class Log(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tiles = SCRATCH / "tiles"
        # From elsewhere than the log: the verifier refuses a key that comes with the tiles.
        cls.key = SCRATCH / "log.vkey"
        quaymaster("key", "--out", str(cls.key))
        cls.vkey = read_vkey_file(cls.key.read_text())
        cls.call = asyncio.run(make_calls(140))
        quaymaster("export", "--tiles", str(cls.tiles))
        cls.early = SCRATCH / "early-checkpoint"
        shutil.copy(cls.tiles / "checkpoint", cls.early)
        asyncio.run(make_calls(20))
        # Into the same folder: it is carried on.
        quaymaster("export", "--tiles", str(cls.tiles))

    def head(self, folder):
        note = parse_note((folder / "checkpoint").read_text())
        result = verify_checkpoint(note, self.vkey, [], 0, expected_origin=self.vkey.name)
        self.assertTrue(result.ok, result.error)
        return result

    def copy(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH)) / "tiles"
        shutil.copytree(self.tiles, folder)
        return folder

    def test_every_tile_and_every_record_is_in_the_tree_that_was_signed(self):
        head = self.head(self.tiles)
        self.assertGreater(head.size, 256)
        report = audit_tiles(FileSystemTileReader(self.tiles), head.size, head.root)
        self.assertEqual((report.size, report.bundles), (head.size, -(-head.size // 256)))
        code, answer = tlog("verify-checkpoint", "--tiles", self.tiles, "--vkey-file", self.key)
        self.assertEqual((code, answer["ok"], answer["size"]), (0, True, head.size))

    def test_the_log_only_grew_since_a_checkpoint_that_was_kept(self):
        arguments = ["--tiles", self.tiles, "--vkey-file", self.key, "--old-checkpoint", self.early]
        code, answer = tlog("verify-consistency", *arguments)
        self.assertEqual((code, answer["ok"]), (0, True), answer)
        self.assertLess(answer["old_size"], answer["new_size"])

    def test_a_record_is_included_as_it_was_read(self):
        records = quaymaster("tail", "-n", "100000", "--json").stdout.splitlines()
        for seq in (0, 17, 255, 256, 300):
            leaf = SCRATCH / "leaf"
            leaf.write_text(records[seq])
            arguments = ["--leaf", leaf, "--index", seq, "--tiles", self.tiles, "--vkey-file", self.key]
            code, answer = tlog("verify-inclusion", *arguments)
            self.assertEqual((code, answer["ok"]), (0, True), answer)
            leaf.write_text(records[seq].replace("writer", "writes", 1))
            code, answer = tlog("verify-inclusion", *arguments)
            self.assertEqual((code, answer["ok"]), (1, False), answer)

    def test_a_changed_tile_or_record_is_found(self):
        for name in ("tile/0/000", "tile/entries/000"):
            folder = self.copy()
            file = folder / name
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
            head = self.head(folder)
            with self.assertRaises(TileVerificationError, msg=name):
                audit_tiles(FileSystemTileReader(folder), head.size, head.root)

    def test_a_history_that_was_signed_anew_is_found(self):
        folder = self.copy()
        forger = Ed25519PrivateKey.generate()
        head = self.head(folder)
        forged = parse_checkpoint(parse_note((folder / "checkpoint").read_text()).text)
        note = sign_checkpoint(forged, forger, self.vkey.name)
        (folder / "checkpoint").write_text(note if isinstance(note, str) else note.serialise())
        code, answer = tlog("verify-checkpoint", "--tiles", folder, "--vkey-file", self.key)
        self.assertEqual((code, answer["ok"]), (1, False), answer)
        self.assertGreater(head.size, 0)

    def test_a_key_that_comes_with_the_tiles_is_refused(self):
        folder = self.copy()
        shutil.copy(self.key, folder / "key")
        code, answer = tlog("verify-checkpoint", "--tiles", folder, "--vkey-file", folder / "key")
        self.assertEqual(code, 1)
        self.assertIn("refusing", answer["error"])

    def test_a_proof_holds_for_the_verifier_as_well(self):
        folder = SCRATCH / "proofs"
        told = quaymaster("proof", self.call, "--out", str(folder), "--json").stdout.splitlines()
        events = [json.loads(line)["event"] for line in told]
        self.assertEqual(events, ["call.intent", "call.outcome"])
        for line in told:
            file = json.loads(line)["file"]
            head, note = pathlib.Path(file).read_text().split("\n\n", 1)
            form, extra, index, *hashes = head.split("\n")
            self.assertEqual(form, "c2sp.org/tlog-proof@v1")
            record = base64.b64decode(extra.removeprefix("extra "))
            self.assertEqual(json.loads(record)["call"], self.call)
            result = verify_checkpoint(parse_note(note), self.vkey, [], 0, expected_origin=self.vkey.name)
            self.assertTrue(result.ok, result.error)
            path = [base64.b64decode(text) for text in hashes]
            seq = int(index.removeprefix("index "))
            self.assertTrue(verify_leaf_inclusion(record, seq, result.size, path, result.root))
            self.assertFalse(verify_leaf_inclusion(record, seq + 1, result.size, path, result.root))
            checked = quaymaster("verify-proof", file, "--key", str(self.key), "--json", config=None)
            self.assertEqual(json.loads(checked.stdout)["record"]["call"], self.call)

    def test_bundles_hold_the_records_one_by_one(self):
        records = quaymaster("tail", "-n", "100000", "--json").stdout.splitlines()
        entries = parse_entry_bundle((self.tiles / "tile/entries/000").read_bytes())
        self.assertEqual([entry.decode() for entry in entries], records[:256])


if __name__ == "__main__":
    unittest.main(verbosity=2)
