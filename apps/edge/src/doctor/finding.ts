/** One thing that was looked at, in a sentence that says what is wrong and what to do. */
export interface Finding {
  readonly check: string;
  /** `problem`: it does not work so; `warning`: it may not for long. */
  readonly level: 'ok' | 'warning' | 'problem';
  readonly says: string;
}

export const ok = (check: string, says: string): Finding => ({ check, level: 'ok', says });
export const warning = (check: string, says: string): Finding => ({ check, level: 'warning', says });
export const problem = (check: string, says: string): Finding => ({ check, level: 'problem', says });

export const megabytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MB`;
