#!/usr/bin/env python3
"""Write the coefficients of PyWavelets' discrete wavelets as a C++ table (numbers alone; they are mathematical constants).

Use: make_wavelet_table.py > processing/radiomics/filters/wavelet_coefficients.cpp, with PyWavelets 1.9.0.
Kept are the low-pass analysis filters of the orthogonal families, and the two low-pass filters of each biorthogonal pair: every other filter
follows from these, which this script checks before it writes.
"""

import re

import numpy as np
import pywt


def number(value):
    text = repr(float(value))
    return text


def order(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def rows(name, values):
    texts = [number(v) for v in values]
    lines, line = [], "   "
    for text in texts:
        if len(line) + len(text) + 2 > 150:
            lines.append(line)
            line = "   "
        line += " " + text + ","
    lines.append(line)
    return f"constexpr std::array<double, {len(texts)}> {name}{{\n" + "\n".join(lines) + "\n};\n"


def main():
    names = sorted(pywt.wavelist(kind="discrete"), key=order)
    for name in names:
        wavelet = pywt.Wavelet(name)
        low, high, synthesis = (np.array(v) for v in (wavelet.dec_lo, wavelet.dec_hi, wavelet.rec_lo))
        assert np.array_equal(high, [(-1) ** (j + 1) * synthesis[j] for j in range(len(low))]), name
        if name.startswith("rbio"):
            mirror = pywt.Wavelet("bior" + name[4:])
            assert np.array_equal(low, mirror.rec_lo[::-1]) and np.array_equal(synthesis, mirror.dec_lo[::-1]), name
        elif not name.startswith("bior"):
            assert np.array_equal(synthesis, low[::-1]), name
        # In single precision the taps are these rounded, but coif is kept without its factor sqrt(2) and multiplied in single precision.
        impulse = np.zeros(512, np.float32)
        impulse[200] = 1
        response = pywt.swt(impulse, wavelet, level=1)[0]
        for taps, band in zip((low, high), response):
            single = (taps / np.sqrt(2)).astype(np.float32) * np.float32(np.sqrt(2)) if name.startswith("coif") else taps.astype(np.float32)
            first = 200 - len(taps) // 2
            assert np.array_equal(single, band[first:first + len(taps)]), name
    assert pywt.Wavelet("haar").dec_lo == pywt.Wavelet("db1").dec_lo
    print("// Low-pass analysis filters of discrete wavelets: mathematical constants, taken from PyWavelets 1.9.0 by tests/interop/make_wavelet_table.py.")
    print("// Biorthogonal pairs also keep the low-pass synthesis filter; every other filter follows from these.\n")
    print('#include "processing/radiomics/filters/wavelet_coefficients.h"\n\n#include <array>\n')
    print("namespace choana::processing {\nnamespace {\n")
    entries = []
    for name in names:
        if name == "haar" or name.startswith("rbio"):
            continue
        wavelet = pywt.Wavelet(name)
        symbol = name.replace(".", "_")
        print(rows(symbol, wavelet.dec_lo))
        if name.startswith("bior"):
            print(rows(symbol + "_synthesis", wavelet.rec_lo))
            entries.append(f'    WaveletCoefficients{{"{name}", {symbol}, {symbol}_synthesis}},')
        else:
            entries.append(f'    WaveletCoefficients{{"{name}", {symbol}, {{}}}},')
    print("constexpr std::array table{\n" + "\n".join(entries) + "\n};\n")
    print("}  // namespace\n\nstd::span<const WaveletCoefficients> wavelet_coefficients() { return table; }\n\n}  // namespace choana::processing")


if __name__ == "__main__":
    main()
