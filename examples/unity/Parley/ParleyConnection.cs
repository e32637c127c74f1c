// One WebSocket from handshake to close. It runs on threads of the pool and hands whole messages over by a queue; the
// game's thread only takes from it. Knows nothing of streams and does not come back: ParleyClient opens the next one.
// Where a platform has another WebSocket (WebGL), this is the file to replace.

using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Parley
{
    internal sealed class ParleyConnection
    {
        /// <summary>A larger message is no message of the protocol.</summary>
        private const int MaxMessageBytes = 4 << 20;
        /// <summary>When the game takes nothing for so many messages, no more is read: then the edge sends them merged.</summary>
        private const int MaxWaiting = 1024;
        private static readonly UTF8Encoding utf8 = new UTF8Encoding(false);
        private static readonly double ticksPerMs = Stopwatch.Frequency / 1000.0;

        private readonly ClientWebSocket socket = new ClientWebSocket();
        private readonly CancellationTokenSource over = new CancellationTokenSource();
        private readonly ConcurrentQueue<Message> received = new ConcurrentQueue<Message>();
        private readonly SemaphoreSlim room = new SemaphoreSlim(MaxWaiting);
        private readonly ConcurrentQueue<string> waiting = new ConcurrentQueue<string>();
        private readonly SemaphoreSlim something = new SemaphoreSlim(0);
        private readonly Task run;
        private long receivedAt;
        private volatile Closure closure;

        public sealed class Closure
        {
            public readonly int Code;
            public readonly string Reason;

            public Closure(int code, string reason)
            {
                Code = code;
                Reason = reason;
            }
        }

        /// <summary>A clock that only goes forward, in milliseconds.</summary>
        public static long NowMs
        {
            get { return (long)(Stopwatch.GetTimestamp() / ticksPerMs); }
        }

        /// <summary>Begins to connect; `hello` is the first message. Never throws: what fails is heard from Closed.</summary>
        public ParleyConnection(string url, string hello)
        {
            Send(hello);
            receivedAt = NowMs;
            run = Task.Run(() => Run(url));
        }

        /// <summary>When the last message arrived, whether or not the game has taken it.</summary>
        public long ReceivedAtMs
        {
            get { return Interlocked.Read(ref receivedAt); }
        }

        /// <summary>Messages that are not sent yet.</summary>
        public int Unsent
        {
            get { return something.CurrentCount; }
        }

        /// <summary>The next message, in order.</summary>
        public bool TryTake(out Message message)
        {
            if (!received.TryDequeue(out message)) return false;
            room.Release();
            return true;
        }

        /// <summary>Why it ended, once it has and every message was taken; null until then.</summary>
        public Closure Closed
        {
            get
            {
                // In this order: it is set after the last message was put in.
                Closure why = closure;
                return why != null && received.IsEmpty ? why : null;
            }
        }

        /// <summary>Sends when it can. What is lost with the connection is the resume's business.</summary>
        public void Send(string message)
        {
            waiting.Enqueue(message);
            something.Release();
        }

        /// <summary>Drops the connection without a close frame, so that its streams go on at the edge. Returns at once.</summary>
        public void Cut()
        {
            // Abort may wait for the socket's own locks, which is not for the game's thread.
            Task.Run(() =>
            {
                over.Cancel();
                socket.Abort();
            });
        }

        /// <summary>Says bye, on which the edge closes. Done when the socket is gone, which takes a second at most.</summary>
        public async Task Leave()
        {
            Send("{\"t\":\"bye\"}");
            await Task.WhenAny(run, Task.Delay(1000)).ConfigureAwait(false);
            Cut();
        }

        private async Task Run(string url)
        {
            var why = new Closure(Protocol.NoCloseFrame, "the connection was lost");
            try
            {
                socket.Options.AddSubProtocol(Protocol.Subprotocol);
                await socket.ConnectAsync(new Uri(url), over.Token).ConfigureAwait(false);
                _ = SendAll();
                why = await ReceiveAll().ConfigureAwait(false);
            }
            catch (Exception error)
            {
                // Whatever it was, this connection is over; the client decides what that means.
                why = new Closure(Protocol.NoCloseFrame, error.Message);
            }
            closure = why;
            over.Cancel();
            socket.Dispose();
        }

        private async Task<Closure> ReceiveAll()
        {
            var buffer = new byte[16 << 10];
            int length = 0;
            while (true)
            {
                if (length == buffer.Length)
                {
                    if (length >= MaxMessageBytes) throw new FormatException("a message is too large");
                    Array.Resize(ref buffer, length * 2);
                }
                var part = new ArraySegment<byte>(buffer, length, buffer.Length - length);
                WebSocketReceiveResult result = await socket.ReceiveAsync(part, over.Token).ConfigureAwait(false);
                if (result.MessageType == WebSocketMessageType.Close)
                {
                    return new Closure((int?)result.CloseStatus ?? Protocol.NoCloseFrame, result.CloseStatusDescription ?? "");
                }
                if (result.MessageType != WebSocketMessageType.Text) throw new FormatException("a frame of the wrong kind");
                length += result.Count;
                if (!result.EndOfMessage) continue;
                Message message = Message.Parse(utf8.GetString(buffer, 0, length));
                length = 0;
                Interlocked.Exchange(ref receivedAt, NowMs);
                await room.WaitAsync(over.Token).ConfigureAwait(false);
                received.Enqueue(message);
            }
        }

        /// <summary>A ClientWebSocket takes one message at a time, so one loop sends them all.</summary>
        private async Task SendAll()
        {
            try
            {
                while (true)
                {
                    await something.WaitAsync(over.Token).ConfigureAwait(false);
                    if (!waiting.TryDequeue(out string message)) continue;
                    var bytes = new ArraySegment<byte>(utf8.GetBytes(message));
                    await socket.SendAsync(bytes, WebSocketMessageType.Text, true, over.Token).ConfigureAwait(false);
                }
            }
            catch (Exception)
            {
                // The receiving side hears of it too, and says why.
                socket.Abort();
            }
        }
    }
}
