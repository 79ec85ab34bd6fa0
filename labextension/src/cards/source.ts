/**
 * The hash of a cell's text, as `fal_jupyter.protocol.feed.source_hash` makes it: FNV-1a of UTF-8 without outer white
 * space.
 */
export function sourceHash(text: string): string {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text.trim())) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value.toString(16).padStart(8, "0");
}
