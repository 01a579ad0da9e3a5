const FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const TO_SECONDS = 'YYYY-MM-DDTHH:MM:SS'.length;

/** Whether a text has the form of RFC 3339 (UTC) and is a time that there is: readers refuse a 31 February, and all of its event. */
export function isMoment(text: string): boolean {
  const ms = FORM.test(text) ? Date.parse(text) : NaN;
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text.slice(0, TO_SECONDS));
}
