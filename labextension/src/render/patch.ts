import { breathe } from './turns';

/** Elements in a node above which its children are put into the page one by one. */
const LARGE = 100;

/**
 * Makes the content of *host* that of *fresh*, which is used up, and leaves what is the same as it
 * was: of text that grows only the end is styled and laid out anew, and a selection stays.
 *
 * Much at once comes in portions, each laid out before the next.
 */
export async function patch(
  host: ParentNode & Node,
  fresh: ParentNode & Node
): Promise<void> {
  let old = host.firstChild;
  let next = fresh.firstChild;
  while (next) {
    const following: ChildNode | null = next.nextSibling;
    const after: ChildNode | null = old?.nextSibling ?? null;
    if (!old?.isEqualNode(next)) {
      if (isElement(old) && isElement(next) && isSameBox(old, next)) {
        await patch(old, next);
      } else {
        await put(host, old, next);
      }
    }
    old = after;
    next = following;
  }
  while (old) {
    const after: ChildNode | null = old.nextSibling;
    old.remove();
    old = after;
  }
}

/** Puts a node into the place of another, or at the end. */
async function put(
  host: ParentNode & Node,
  old: ChildNode | null,
  next: ChildNode
): Promise<void> {
  const size = isElement(next) ? next.getElementsByTagName('*').length + 1 : 0;
  const large = size > LARGE && isElement(next);
  const node = large ? (next.cloneNode(false) as Element) : next;
  if (old) {
    old.replaceWith(node);
  } else {
    host.append(node);
  }
  if (large) {
    await patch(node as Element, next);
  } else {
    await breathe(size);
  }
}

function isElement(node: Node | null): node is Element {
  return node?.nodeType === Node.ELEMENT_NODE;
}

/** Whether two elements differ in their content only. */
function isSameBox(a: Element, b: Element): boolean {
  return a.cloneNode(false).isEqualNode(b.cloneNode(false));
}
