// Noise floor of 125 kHz at a noise figure of 6 dB, dBm.
const NOISE_DBM = -174 + 10 * Math.log10(125_000) + 6;
// Lowest SNR that each spreading factor still demodulates (Semtech SX1276 datasheet, table 13), dB, from SF7 on.
const SNR_FLOORS = [-7.5, -10, -12.5, -15, -17.5, -20] as const;
/** What a concentrator reports at most, dB. */
const HIGHEST_SNR = 14;

const milliwatts = (dbm: number): number => 10 ** (dbm / 10);

/** Sum of powers, dBm. */
export const addDbm = (...powers: readonly number[]): number =>
  10 * Math.log10(powers.reduce((sum, dbm) => sum + milliwatts(dbm), 0));

/** Signal to noise of a received power in dBm at 125 kHz, dB. */
export const snrOf = (signalDbm: number): number => signalDbm - NOISE_DBM;

/** The weakest signal that is received, dBm. */
export const sensitivityDbm = (spreadingFactor: number): number =>
  NOISE_DBM + (SNR_FLOORS[spreadingFactor - 7] ?? 0);

/** What a receiver reports of a signal: RSSI of all in its channel in dBm, SNR in 0.1 dB. */
export function reportOf(signalDbm: number): { readonly rssi: number; readonly snr: number } {
  const snr = Math.min(HIGHEST_SNR, snrOf(signalDbm));
  return { rssi: Math.round(addDbm(signalDbm, NOISE_DBM)), snr: Math.round(snr * 10) / 10 };
}
