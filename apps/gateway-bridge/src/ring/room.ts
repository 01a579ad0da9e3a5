import { AntirioError } from '@antirio/kernel';

/** Bytes beyond its budget that one held ring may fill at most: half a million frames and more, which are in memory by name. */
const SPARE_MOST = 64 << 20;

/** A ring as the room that it takes. */
export interface Tenant {
  readonly id: string;
  readonly budgetBytes: number;
  /** What it holds. */
  readonly bytes: number;
}

/** The room that all rings have together. */
export interface Room {
  /** @throws AntirioError storageFull where the budget does not fit beside those of the others. */
  admit(id: string, budgetBytes: number, adopt: string | undefined): void;
  /** Bytes beyond its budget that a held ring may fill now: of what is reserved for nobody. */
  spareOf(id: string): number;
}

export function createRoom(total: number, tenants: () => readonly Tenant[]): Room {
  return {
    admit(id, budgetBytes, adopt) {
      const others = tenants().filter((one) => one.id !== id && one.id !== adopt);
      const reserved = others.reduce((sum, one) => sum + one.budgetBytes, 0);
      if (reserved + budgetBytes > total)
        throw new AntirioError('storageFull', `a ring of ${budgetBytes} bytes does not fit`, {
          reserved,
          total,
        });
    },
    spareOf(id) {
      let taken = 0;
      for (const one of tenants())
        taken += one.id === id ? one.budgetBytes : Math.max(one.budgetBytes, one.bytes);
      return Math.max(0, Math.min(SPARE_MOST, total - taken));
    },
  };
}
