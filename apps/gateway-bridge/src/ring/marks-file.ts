import { z } from 'zod';
import { fromUtf8 } from '@antirio/kernel';
import { parseInput, readFileIfThere, writeFileDurably } from '@antirio/host';
import {
  createHighWaters,
  highWater,
  type Growth,
  type HighWater,
  type HighWaters,
} from '@antirio/shadow-buffer';

/** High-water marks that are in a file, too. */
export interface KeptHighWaters extends HighWaters {
  /** Writes down what is new, where that is due (monotonic ms), or at once; where it cannot, old marks do as well. */
  save(now?: number): void;
}

const fileSchema = z.record(z.string().regex(/^[0-9a-f]{8}$/), highWater);
const SAVE_EVERY_MS = 60_000;

/** What is there is taken; a file that cannot be read counts for none, and comes again from who has the keys. */
function stored(path: string): [string, HighWater][] {
  const bytes = readFileIfThere(path);
  if (bytes === undefined) return [];
  try {
    return Object.entries(parseInput(fileSchema, JSON.parse(fromUtf8(bytes))));
  } catch {
    return [];
  }
}

/** In the file at `path`, which is read again after a start; time begins anew with it. */
export function openHighWaters(path: string, growth?: Growth): KeptHighWaters {
  const marks = createHighWaters(stored(path), growth);
  let savedVersion = marks.version;
  let savedAt = -Infinity;
  const save = (now = Infinity): void => {
    const { version } = marks;
    if (version === savedVersion || now - savedAt < SAVE_EVERY_MS) return;
    savedAt = now;
    try {
      writeFileDurably(path, JSON.stringify(marks.all()));
      savedVersion = version;
    } catch {
      // what the disk does not take is told by the ring itself
    }
  };
  return Object.assign(marks, { save });
}
