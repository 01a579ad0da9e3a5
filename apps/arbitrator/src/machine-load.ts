import { cpus, totalmem } from 'node:os';
import type { Load } from '@antirio/service-contract';

interface Ticks {
  readonly idle: number;
  readonly all: number;
}

/** What processors have done since the machine began, ms; and memory, bytes. */
export interface MachineSource {
  ticks(): Ticks;
  readonly memory: () => { readonly available: number; readonly limit: number };
}

/** This machine; in a container its memory is what its control group may use. */
export const thisMachine: MachineSource = {
  ticks() {
    const times = cpus().map((cpu) => cpu.times);
    const idle = times.reduce((sum, one) => sum + one.idle, 0);
    const busy = times.reduce((sum, one) => sum + one.user + one.nice + one.sys + one.irq, 0);
    return { idle, all: idle + busy };
  },
  memory() {
    const constrained = process.constrainedMemory();
    const total = totalmem();
    // without a limit the kernel gives 0 or a number that no machine has
    const limit = constrained > 0 && constrained < total ? constrained : total;
    return { available: process.availableMemory(), limit };
  },
};

/** Over less than this, processor times say nothing. */
const LEAST_TICKS_MS = 500;

function clamped(part: number): number {
  return Math.round(1000 * Math.min(1, Math.max(0, part)));
}

/** Measures how busy the machine was since it was asked last, and what memory is in use now. */
export function createLoadMeter(source: MachineSource = thisMachine): () => Load {
  let before = source.ticks();
  let cpuPermille: number | undefined;
  return () => {
    const now = source.ticks();
    const passed = now.all - before.all;
    if (passed >= LEAST_TICKS_MS) {
      cpuPermille = clamped(1 - (now.idle - before.idle) / passed);
      before = now;
    }
    const { available, limit } = source.memory();
    const memoryPermille = clamped(1 - available / limit);
    return { memoryPermille, ...(cpuPermille === undefined ? {} : { cpuPermille }) };
  };
}
