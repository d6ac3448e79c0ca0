/* LoopLM: tokens leave the loop when their cumulative exit probability reaches the threshold. */
#include "decoder_run.h"

#include <math.h>

static float gate_logit(nk_run *r, int token) {
    nk_collapse(r, token, r->own->mixed);
    nk_rms_norm(r, r->own->row, r->own->mixed, r->m->gate_norm, r->m->width);
    return r->f->dot(r->own->row, r->m->gate, r->m->width) + r->m->gate_bias[0];
}

int nk_leave(nk_run *r) {
    float *stay = r->d->stay;
    int32_t *gone = r->d->gone;
    nk_range mine = nk_part(r, r->tokens);
    for (int t = mine.first; t < mine.first + mine.count; t++) {
        float now = 1.0f / (1.0f + expf(gate_logit(r, t)));
        stay[t] = r->turn ? stay[t] * now : now;
        gone[t] = (r->turn && gone[t]) || 1.0f - stay[t] >= r->m->exit_threshold;
    }
    nk_wait(r);
    for (int t = 0; t < r->tokens; t++)
        if (!gone[t])
            return 0;
    return 1;
}

void nk_repeat_turns(nk_run *r) {
    const nk_model *m = r->m;
    nk_range heads = nk_part(r, m->kv_heads);
    for (int later = r->turn + 1; later < m->turns; later++)
        for (int layer = m->before; layer < m->block_count - m->after; layer++)
            for (int h = heads.first; h < heads.first + heads.count; h++)
                for (int t = 0; t < r->tokens; t++)
                    nk_copy_position(r, nk_slot(r, r->turn, layer), nk_slot(r, later, layer), h, r->start + t);
}
