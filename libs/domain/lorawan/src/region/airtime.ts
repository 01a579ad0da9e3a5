import type { LoraDataRate } from './plan.ts';

export interface AirtimeOptions {
  /** Uplinks have a CRC, downlinks none. Default true. */
  readonly crc?: boolean;
  /** 1 for 4/5, 4 for 4/8. Default 1. */
  readonly codingRate?: number;
  /** Symbols. Default 8, as everywhere in LoRaWAN. */
  readonly preamble?: number;
}

const LOW_RATE_SYMBOL_S = 0.016;

/**
 * Time on air of a PHYPayload with explicit header, in microseconds: Semtech SX1276 data sheet, 4.1.1.7, with
 * low-data-rate optimisation where a symbol takes 16 ms or longer (AN1200.13). Spreading factors 7 to 12.
 */
export function airtimeUs(settings: LoraDataRate, bytes: number, options: AirtimeOptions = {}): number {
  const { crc = true, codingRate = 1, preamble = 8 } = options;
  const { spreadingFactor, bandwidth } = settings;
  const symbolS = 2 ** spreadingFactor / bandwidth;
  const optimised = symbolS >= LOW_RATE_SYMBOL_S ? 2 : 0;
  const bits = 8 * bytes - 4 * spreadingFactor + 28 + (crc ? 16 : 0);
  const blocks = Math.max(Math.ceil(bits / (4 * (spreadingFactor - optimised))), 0);
  const symbols = preamble + 4.25 + 8 + blocks * (codingRate + 4);
  return Math.round(symbols * symbolS * 1e6);
}
