const TO_SECONDS = 'YYYY-MM-DDTHH:MM:SS'.length;

/** Whether a text in the form of RFC 3339 (UTC) is a time that there is: readers refuse a 31 February, and all of its event. */
export function isMoment(text: string): boolean {
  const ms = Date.parse(text);
  const seconds = text.slice(0, TO_SECONDS);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(seconds);
}
