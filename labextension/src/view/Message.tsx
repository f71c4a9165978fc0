import * as React from 'react';

import { baseName } from '../model/files';
import { bytes } from '../model/format';
import type { Message } from '../wire';
import { Code } from './Code';
import { FileImage } from './FileCard';
import { Markdown } from './Safe';
import { usePromise, useServices } from './services';

/** What the user wrote, with the files that came along. */
export const UserMessage = React.memo(function UserMessage(props: {
  message: Message;
}): JSX.Element {
  const { trans } = useServices();
  const files = [
    ...new Set((props.message.attachments ?? []).map(({ file_id }) => file_id))
  ];
  return (
    <article className="jp-CIUser" aria-label={trans.__('You')}>
      {files.length > 0 && (
        <div className="jp-CIChips">
          {files.map(id => id && <SentFile key={id} id={id} />)}
        </div>
      )}
      {props.message.content.map((part, at) =>
        part.type === 'text' ? (
          <UserText key={at} text={part.text.value} />
        ) : part.type === 'image_file' ? (
          <FileImage key={at} id={part.image_file.file_id} />
        ) : null
      )}
    </article>
  );
});

/** Text as it was typed; fenced code in it is shown as code. */
export function UserText(props: { text: string }): JSX.Element {
  const pieces = props.text.split(/^(`{3,})\w*\n([^]*?)\n\1[ \t]*$/m);
  return (
    <>
      {pieces.map((piece, at) => {
        // split() gives text, fence, code, text, …
        if (at % 3 === 1 || piece.trim() === '') {
          return null;
        }
        return at % 3 === 2 ? (
          <Code key={at} code={piece} />
        ) : (
          <div key={at} className="jp-CIUser-text">
            {piece.trim()}
          </div>
        );
      })}
    </>
  );
}

function SentFile(props: { id: string }): JSX.Element {
  const { model, trans } = useServices();
  const file = usePromise(() => model.files.get(props.id), props.id);
  const name = file ? baseName(file.filename) : '…';
  return (
    <button
      type="button"
      className="jp-CIChip"
      disabled={!file}
      title={trans.__('Download %1', name)}
      onClick={() => void model.files.download(props.id)}
    >
      <span className="jp-CIChip-name">{name}</span>
      {file && <span>· {bytes(file.bytes)}</span>}
    </button>
  );
}

/** What the assistant wrote; images that its code has shown above are left out. */
export const AssistantText = React.memo(
  function AssistantText(props: {
    message: Message;
    shown: ReadonlySet<string>;
  }): JSX.Element {
    const { trans } = useServices();
    const { content } = props.message;
    // The content is a new object with every piece of text, its links are mostly the same.
    const known = JSON.stringify(linksOf(content));
    const find = React.useMemo(() => {
      const links = JSON.parse(known) as Record<string, string>;
      return (address: string) => links[address] ?? links[decoded(address)];
    }, [known]);
    return (
      <article className="jp-CIAssistant" aria-label={trans.__('Assistant')}>
        {content.map((part, at) => {
          switch (part.type) {
            case 'text':
              return <Markdown key={at} source={part.text.value} find={find} />;
            case 'image_file':
              return props.shown.has(part.image_file.file_id) ? null : (
                <FileImage key={at} id={part.image_file.file_id} />
              );
            case 'refusal':
              return <p key={at}>{part.refusal}</p>;
            default:
              return null;
          }
        })}
      </article>
    );
  },
  (a, b) => a.message === b.message && sameSet(a.shown, b.shown)
);

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every(item => b.has(item));
}

/** File ids by the `sandbox:` addresses that stand for them. */
function linksOf(content: Message['content']): Record<string, string> {
  const links: Record<string, string> = {};
  for (const part of content) {
    if (part.type === 'text') {
      for (const annotation of part.text.annotations) {
        if (annotation.type === 'file_path') {
          links[annotation.text] = annotation.file_path.file_id;
        }
      }
    }
  }
  return links;
}

function decoded(address: string): string {
  try {
    return decodeURIComponent(address);
  } catch {
    return address;
  }
}

/** The files that a run's messages hand over, each once, in their order. */
export function filesOf(messages: readonly Message[]): string[] {
  const ids = new Set<string>();
  for (const { content, attachments } of messages) {
    Object.values(linksOf(content)).forEach(id => ids.add(id));
    attachments?.forEach(({ file_id }) => file_id && ids.add(file_id));
  }
  return [...ids];
}
