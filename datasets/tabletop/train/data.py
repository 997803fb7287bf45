# SPDX-License-Identifier: MIT
"""Demonstrations as flat arrays, and the word-level tokenizer made from their instructions."""
import h5py
import numpy as np
import torch

IMAGE, END_OF_CHUNK, END_OF_TEXT, UNKNOWN = "<image>", "<|endofchunk|>", "<|endoftext|>", "<unk>"
SPECIAL = [END_OF_TEXT, UNKNOWN, END_OF_CHUNK, IMAGE]


class Demos:
    """All frames of some files one after another.
    static, gripper u8 [N,64,64,3]; action f32 [N,7]; object f32 [N,21]; episode, start int [N]."""

    def __init__(self, paths):
        static, gripper, action, state, episode, self.text, self.task = [], [], [], [], [], [], []
        for path in paths:
            with h5py.File(path, "r") as f:
                demos = f["data"]
                for name in sorted(demos, key=lambda n: int(n.split("_")[1])):
                    d = demos[name]
                    static.append(d["obs/rgb_static"][:])
                    gripper.append(d["obs/rgb_gripper"][:])
                    action.append(d["actions"][:])
                    state.append(d["obs/object"][:])
                    episode.append(np.full(len(action[-1]), len(self.text)))
                    self.text.append(text(d.attrs["language"]))
                    self.task.append(text(d.attrs["task"]))
        self.static = torch.from_numpy(np.concatenate(static))
        self.gripper = torch.from_numpy(np.concatenate(gripper))
        self.action = torch.from_numpy(np.concatenate(action))
        self.object = torch.from_numpy(np.concatenate(state))
        self.episode = torch.from_numpy(np.concatenate(episode))
        first = np.concatenate([np.arange(len(a)) for a in action])
        self.age = torch.from_numpy(first)  # steps since the episode began
        lengths = np.array([len(a) for a in action])
        self.left = torch.from_numpy(np.repeat(lengths, lengths) - first)  # steps to its end, itself included

    def __len__(self):
        return len(self.action)


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def vocabulary(texts):
    return SPECIAL + sorted({w for t in texts for w in t.lower().split()})


def tokenizer_json(words):
    """A Hugging Face tokenizer.json of the WordLevel kind."""
    added = [dict(id=i, content=w, special=True, single_word=False, lstrip=False, rstrip=False,
                  normalized=False) for i, w in enumerate(SPECIAL)]
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added,
                normalizer=dict(type="Lowercase"), pre_tokenizer=dict(type="WhitespaceSplit"),
                post_processor=None, decoder=None,
                model=dict(type="WordLevel", vocab={w: i for i, w in enumerate(words)}, unk_token=UNKNOWN))


def encode(words, texts):
    """Token ids of the official prompt, padded: ids [N,T], pad [N,T]."""
    index = {w: i for i, w in enumerate(words)}
    rows = [[index[IMAGE]] + [index.get(w, index[UNKNOWN]) for w in t.lower().split()]
            + [index[END_OF_CHUNK], index[END_OF_TEXT]] for t in texts]
    length = max(map(len, rows))
    ids = torch.tensor([r + [index[END_OF_TEXT]] * (length - len(r)) for r in rows])
    pad = torch.tensor([[False] * len(r) + [True] * (length - len(r)) for r in rows])
    return ids, pad
