/** What there is to draw on. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface Progressed {
  readonly bytes: number;
  readonly totalBytes?: number | undefined;
  readonly bytesPerS: number;
}

/** Shows how far something is: one line that is drawn again and again, or where there is no terminal a line at each 10 %. */
export interface ProgressLine {
  show(what: string, progressed: Progressed): void;
  /** Leaves what is shown, so that something else can be written below. */
  end(): void;
}

const STEP_PERCENT = 10;

export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ''}`;
}

/** Undefined where the total is not known. */
function percentOf({ bytes, totalBytes }: Progressed): number | undefined {
  if (totalBytes === undefined || totalBytes <= 0) return undefined;
  return Math.min(100, Math.floor((bytes / totalBytes) * 100));
}

function textOf(what: string, progressed: Progressed): string {
  const { bytes, totalBytes, bytesPerS } = progressed;
  const percent = percentOf(progressed);
  const of = totalBytes === undefined ? '' : ` of ${sizeText(totalBytes)}`;
  const share = percent === undefined ? '' : `${String(percent).padStart(3)} %  `;
  return `${what}  ${share}${sizeText(bytes)}${of}  ${sizeText(bytesPerS)}/s`;
}

export function createProgressLine(terminal: Terminal): ProgressLine {
  const isTerminal = terminal.isTTY === true;
  let shown = '';
  let step = '';
  return {
    show(what, progressed) {
      const text = textOf(what, progressed);
      if (isTerminal) {
        terminal.write(`\r${text.padEnd(shown.length)}`);
        shown = text;
        return;
      }
      const percent = percentOf(progressed);
      if (percent === undefined) return;
      const next = `${what} ${Math.floor(percent / STEP_PERCENT)}`;
      if (next !== step) terminal.write(`${text}\n`);
      step = next;
    },
    end() {
      if (shown !== '') terminal.write('\n');
      shown = '';
    },
  };
}
