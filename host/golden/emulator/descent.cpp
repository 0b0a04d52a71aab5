// Coordinate descent over weight levels; dscim.host.research.calibrate.descent explains it.

#include <algorithm>
#include <cstdint>
#include <vector>

extern "C" {

// One sweep over `rows` rows; each is set to its best level while the others are fixed.
// x: (rows, points) activations. tables: (.., 256, levels) product units by activation + 128;
// table_of: (rows). values: (levels) the weight of each level. level, wanted: (rows, outputs).
// gain: (outputs). residual: (points, outputs) current error of the outputs, updated.
void dscim_descend(const int8_t* x, int64_t rows, int64_t points, int64_t outputs, int64_t levels,
                   const float* tables, const int64_t* table_of, const float* values,
                   int64_t* level, const float* wanted, const float* gain, float* residual,
                   float ridge) {
    std::vector<float> sums(256 * outputs), steps(256 * outputs), power(levels), cost(levels);
    for (int64_t row = 0; row < rows; row++) {
        const int8_t* here = x + row * points;
        const float* table = tables + table_of[row] * 256 * levels;
        float count[256] = {};
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (int64_t p = 0; p < points; p++) {
            const int seen = here[p] + 128;
            count[seen] += 1;
            for (int64_t o = 0; o < outputs; o++)
                sums[seen * outputs + o] += residual[p * outputs + o];
        }
        std::fill(power.begin(), power.end(), 0.0f);
        for (int u = 0; u < 256; u++)
            if (count[u] > 0)
                for (int64_t l = 0; l < levels; l++)
                    power[l] += count[u] * table[u * levels + l] * table[u * levels + l];
        float most = 0;
        for (float value : power) most = value > most ? value : most;
        const float stay = ridge * most / (values[levels - 1] * values[levels - 1]);
        bool moved = false;
        std::fill(steps.begin(), steps.end(), 0.0f);
        for (int64_t o = 0; o < outputs; o++) {
            const int64_t old = level[row * outputs + o];
            const float g = gain[o], near = wanted[row * outputs + o];
            for (int64_t l = 0; l < levels; l++) {
                const float away = values[l] - near;
                cost[l] = g * g * (power[l] + stay * away * away);
            }
            for (int u = 0; u < 256; u++)
                if (count[u] > 0) {
                    const float* entry = table + u * levels;
                    const float slope = 2 * g * (sums[u * outputs + o] - g * count[u] * entry[old]);
                    for (int64_t l = 0; l < levels; l++) cost[l] += slope * entry[l];
                }
            int64_t best = old;
            for (int64_t l = 0; l < levels; l++)
                if (cost[l] < cost[best]) best = l;
            if (best == old) continue;
            moved = true;
            level[row * outputs + o] = best;
            for (int u = 0; u < 256; u++)
                steps[u * outputs + o] = g * (table[u * levels + best] - table[u * levels + old]);
        }
        if (!moved) continue;
        for (int64_t p = 0; p < points; p++) {
            const float* step = &steps[(here[p] + 128) * outputs];
            for (int64_t o = 0; o < outputs; o++) residual[p * outputs + o] += step[o];
        }
    }
}
}
