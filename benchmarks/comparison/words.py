"""Which language is a word from? Real words, from the lists of wordfreq.

The package index has them (`pip install wordfreq`), and no network is needed
afterwards. The words are the most frequent ones of twelve languages in Latin
letters that none of the other eleven lists holds, too.
"""

import unicodedata
from collections import Counter

import numpy as np

from benchmarks.problems import Data

LANGUAGES = (
    *("cs", "de", "en", "es", "fi", "fr"),
    *("it", "nb", "nl", "pl", "pt", "sv"),
)
WORDS_PER_LANGUAGE = 6_000
TEST_PART = 6
LENGTH = 12
LISTED = 40_000
# Czech, Polish and the others have this many letters; 0 is for what follows.
SYMBOLS = 80


def load_words():
    """Loads the words.

    Returns:
        `Data`: words as `(examples, 12)` integers, 0 behind their end; the
        indices of their languages. 60,000 to train, 12,000 to test.

    Raises:
        ImportError: If `wordfreq` is not installed.
    """
    words, languages = _select()
    letters = sorted(set("".join(words)))
    index = {letter: i + 1 for i, letter in enumerate(letters)}
    x = np.zeros((len(words), LENGTH), "int32")
    for row, word in zip(x, words):
        row[: len(word)] = [index[letter] for letter in word]
    y = np.array(languages, "int64")
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    test = len(x) // TEST_PART
    return Data(x[test:], y[test:], x[:test], y[:test])


def _select():
    import wordfreq

    lists = [
        [
            word
            for word in wordfreq.top_n_list(language, LISTED, wordlist="small")
            if 3 <= len(word) <= LENGTH and _is_latin(word)
        ]
        for language in LANGUAGES
    ]
    held = Counter(word for words in lists for word in words)
    words, languages = [], []
    for language, candidates in enumerate(lists):
        own = [word for word in candidates if held[word] == 1]
        words += own[:WORDS_PER_LANGUAGE]
        languages += [language] * len(own[:WORDS_PER_LANGUAGE])
    return words, languages


def _is_latin(word):
    return all(
        unicodedata.name(letter, "").startswith("LATIN SMALL")
        for letter in word
    )
