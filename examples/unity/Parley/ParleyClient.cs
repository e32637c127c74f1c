// One player's session over as many connections as it takes: numbers the streams, comes back after a loss and resumes
// them, and closes for good where the table of close codes says so. Everything that the game sees happens inside Pump,
// on the thread that calls it: no locks, no waiting. Use one client from one thread.

using System;
using System.Collections.Generic;
using System.Threading.Tasks;

namespace Parley
{
    public sealed class ParleyOptions
    {
        /// <summary>The edge, as in `wss://play.example.org/v1/ws`.</summary>
        public string Url;
        /// <summary>
        /// Gets the player's token from the game's login service. Called by Pump at the start, and again when the edge
        /// refuses the last one. The token is a secret: never log it, never put it into a URL.
        /// </summary>
        public Func<Task<string>> Token;
    }

    public enum ClientState { Idle, Connecting, Online, Waiting, Closed }

    public sealed class ParleyClient
    {
        /// <summary>A connection stands. Welcome.Resumed says whether it goes on with the session before.</summary>
        public event Action<Welcome> Welcomed;
        /// <summary>The connection was lost (close code, reason). The client comes back by itself.</summary>
        public event Action<int, string> Disconnected;
        /// <summary>Something from the game's backend.</summary>
        public event Action<IReadOnlyDictionary<string, object>> Pushed;
        /// <summary>A character speaks by itself. Listen to the stream before you return: its first words follow.</summary>
        public event Action<ParleyStream> SpeechStarted;
        /// <summary>The edge refused a message that belongs to no stream.</summary>
        public event Action<ServerException> Refused;
        /// <summary>The connection is closed for good.</summary>
        public event Action<ClosedException> Closed;

        private const int ConnectMs = 10000, PongMs = 5000, BusySilenceMs = 5000;
        /// <summary>A connection that stood for so long was a good one: the next loss starts with the shortest delay.</summary>
        private const int SteadyMs = 5000;
        /// <summary>What comes beyond it waits for the next frame of the game.</summary>
        private const int MaxMessagesPerPump = 100;
        private const int MaxUnsentForObserve = 32;

        private readonly ParleyOptions options;
        private readonly Random random = new Random();
        /// <summary>Streams without a terminal frame, in the order in which they were asked.</summary>
        private readonly List<ParleyStream> running = new List<ParleyStream>();
        /// <summary>Ends and failures that were found outside of a stream's own frames, for the next Pump to tell.</summary>
        private readonly Queue<Action> toTell = new Queue<Action>();
        private readonly Dictionary<string, long> generations = new Dictionary<string, long>();
        private ParleyConnection connection;
        private Task<string> fetching;
        private string token, refusedToken;
        private string session, key;
        private int lastS;
        /// <summary>The last stream that the edge opened: their numbers go down from -1.</summary>
        private ParleyStream lastSpeech;
        private int tries;
        private long dialledAt, welcomedAt, tryAt, leaveAt, sentAt, pingedAt, pingMs;
        private bool pumping;

        public ClientState State { get; private set; }

        public ParleyClient(ParleyOptions options)
        {
            if (string.IsNullOrEmpty(options.Url) || options.Token == null)
                throw new ArgumentException("Url and Token are needed");
            this.options = options;
        }

        // ---- what a game calls ----

        /// <summary>Begins to connect, and comes back after every loss until Close. What happens is heard in Pump.</summary>
        public void Connect()
        {
            if (State == ClientState.Idle) Open();
        }

        /// <summary>
        /// Says something to a character. Never throws for reasons of the network: without a connection the words go out
        /// with the next one. Listen to the stream before the next Pump.
        /// </summary>
        public ParleyStream Say(string npc, string text, SayOptions options = null)
        {
            return Ask(npc, "text", text, options?.Alongside == true ? "alongside" : null, options);
        }

        /// <summary>Opens one of the character's topics.</summary>
        public ParleyStream SayTopic(string npc, string topic, SayOptions options = null)
        {
            return Ask(npc, "topic", topic, options?.Alongside == true ? "alongside" : null, options);
        }

        /// <summary>
        /// Nobody has spoken: the character decides what to do in the situation that the context tells. The answer has no
        /// words, and often no act either. A newer Think for the same character cancels an older one.
        /// </summary>
        public ParleyStream Think(string npc, string context, SayOptions options = null)
        {
            return Ask(npc, "context", context, "think", options);
        }

        /// <summary>
        /// Tells what the player does. False when it was dropped, since the client is offline or much waits to be sent:
        /// such news is stale by the time it would arrive.
        /// </summary>
        public bool Observe(string kind, IDictionary<string, object> fields = null)
        {
            if (State != ClientState.Online || connection.Unsent > MaxUnsentForObserve) return false;
            var message = fields == null ? new Dictionary<string, object>() : new Dictionary<string, object>(fields);
            message["t"] = "observe";
            message["kind"] = kind;
            Send(Json.Write(message));
            return true;
        }

        /// <summary>Gives the session a fresh token, before the old one ends.</summary>
        public void Refresh(string fresh)
        {
            token = fresh;
            if (State == ClientState.Online)
                Send(Json.Write(new Dictionary<string, object> { { "t", "refresh" }, { "token", fresh } }));
        }

        /// <summary>Cuts the connection as a bad network would. The client comes back by itself.</summary>
        public void Drop()
        {
            if (connection != null) Lose(Protocol.NoCloseFrame, "dropped");
        }

        /// <summary>
        /// The player leaves: everything stops, here and at the edge. Done when the socket is gone, in a second at most;
        /// only a program that ends needs to wait for it.
        /// </summary>
        public Task Close()
        {
            ParleyConnection leaving = State == ClientState.Online ? connection : null;
            if (leaving != null) connection = null;
            Shut(new ClosedException(Protocol.Bye, "the client is closed"));
            return leaving?.Leave() ?? Task.CompletedTask;
        }

        /// <summary>
        /// Call it once a frame. Takes what has arrived, calls the game's listeners, keeps the connection alive and opens
        /// the next one. It never waits, and allocates nothing when nothing has arrived. An exception of a listener comes
        /// out of it; the next call goes on with the next message.
        /// </summary>
        public void Pump()
        {
            if (pumping) return;
            pumping = true;
            try
            {
                TellAll();
                if (fetching != null && fetching.IsCompleted) OnToken();
                if (State == ClientState.Waiting && ParleyConnection.NowMs >= tryAt) Open();
                for (int i = 0; i < MaxMessagesPerPump && connection != null && connection.TryTake(out Message m); i++)
                {
                    OnMessage(m);
                    TellAll();
                }
                if (connection != null) Watch(ParleyConnection.NowMs);
                TellAll();
            }
            finally
            {
                pumping = false;
            }
        }

        // ---- connections ----

        private void Open()
        {
            State = ClientState.Connecting;
            if (token != null)
            {
                Dial();
                return;
            }
            try
            {
                fetching = options.Token();
            }
            catch (Exception error)
            {
                fetching = Task.FromException<string>(error);
            }
        }

        private void OnToken()
        {
            Task<string> fetched = fetching;
            fetching = null;
            if (State != ClientState.Connecting) return;
            bool good = fetched.Status == TaskStatus.RanToCompletion && !string.IsNullOrEmpty(fetched.Result);
            if (good && fetched.Result != refusedToken)
            {
                token = fetched.Result;
                Dial();
            }
            else if (good) Shut(new ClosedException(4401, "the token was refused, and there is no other"));
            // Before the first welcome it is a login that failed, which the game must hear; later it may be the network.
            else if (session != null) ComeBack();
            else Shut(new ClosedException(Protocol.NoCloseFrame, "no token", fetched.Exception));
        }

        private void Dial()
        {
            dialledAt = sentAt = ParleyConnection.NowMs;
            pingedAt = leaveAt = 0;
            connection = new ParleyConnection(options.Url, Hello());
        }

        private string Hello()
        {
            Dictionary<string, object> resume = null;
            if (session != null)
            {
                var streams = new List<object>();
                foreach (ParleyStream stream in running) if (stream.Sent) streams.Add(Place(stream));
                // Named also when it has ended: what the edge opened after it is news.
                if (lastSpeech != null && !running.Contains(lastSpeech)) streams.Add(Place(lastSpeech));
                resume = new Dictionary<string, object> { { "session", session }, { "key", key }, { "streams", streams } };
            }
            return Json.Write(new Dictionary<string, object> { { "t", "hello" }, { "token", token }, { "resume", resume } });
        }

        private static Dictionary<string, object> Place(ParleyStream stream)
        {
            return new Dictionary<string, object> { { "s", stream.S }, { "n", stream.Last } };
        }

        /// <summary>Looks whether the connection ended, is dead, or is to be left, and pings.</summary>
        private void Watch(long now)
        {
            ParleyConnection.Closure closure = connection.Closed;
            if (closure != null) Lose(closure.Code, closure.Reason);
            else if (State != ClientState.Online)
            {
                if (now - dialledAt >= ConnectMs) Lose(Protocol.NoCloseFrame, "no welcome in time");
            }
            else if (leaveAt > 0 && now >= leaveAt) Lose(Protocol.NoCloseFrame, "asked to reconnect");
            else if (pingedAt > 0 && connection.ReceivedAtMs < pingedAt)
            {
                if (now - pingedAt >= PongMs) Lose(Protocol.NoCloseFrame, "no answer to a ping");
            }
            else if (now - sentAt >= pingMs || running.Count > 0 && now - connection.ReceivedAtMs >= BusySilenceMs)
            {
                pingedAt = now;
                Send("{\"t\":\"ping\"}");
            }
        }

        /// <summary>The connection is over, or is given up. A socket that still stands is cut: its streams go on at the edge.</summary>
        private void Lose(int code, string reason)
        {
            bool wasOnline = State == ClientState.Online;
            connection.Cut();
            connection = null;
            Retry retry = Protocol.RetryAfterClose(code);
            if (retry == Retry.No || retry == Retry.FreshToken && refusedToken != null)
            {
                Shut(new ClosedException(code, reason));
                return;
            }
            if (retry == Retry.FreshToken)
            {
                refusedToken = token;
                token = null;
            }
            if (wasOnline && ParleyConnection.NowMs - welcomedAt >= SteadyMs) tries = 0;
            ComeBack();
            if (wasOnline) Disconnected?.Invoke(code, reason);
        }

        private void ComeBack()
        {
            State = ClientState.Waiting;
            // Anything from 0 to the window: after a gateway dies its players come back spread over it.
            double window = Math.Min(5000, 250 * Math.Pow(2, Math.Min(tries++, 10)));
            tryAt = ParleyConnection.NowMs + (long)(random.NextDouble() * window);
        }

        private void Shut(ClosedException error)
        {
            if (State == ClientState.Closed) return;
            State = ClientState.Closed;
            connection?.Cut();
            connection = null;
            fetching = null;
            foreach (ParleyStream stream in running)
            {
                ParleyStream one = stream;
                toTell.Enqueue(() => one.Fail(error));
            }
            running.Clear();
            toTell.Enqueue(() => Closed?.Invoke(error));
        }

        private void Send(string message)
        {
            sentAt = ParleyConnection.NowMs;
            connection.Send(message);
        }

        private void TellAll()
        {
            while (toTell.Count > 0) toTell.Dequeue()();
        }

        // ---- messages ----

        private void OnMessage(Message m)
        {
            string kind = m.Text("t");
            if (State != ClientState.Online && kind != "welcome") return;
            switch (kind)
            {
                case "welcome":
                    if (State == ClientState.Connecting) OnWelcome(m);
                    break;
                case "tok":
                case "act":
                case "end":
                    OnFrame(kind, m);
                    break;
                case "err":
                    if (m.Has("s")) OnFrame(kind, m);
                    else Refused?.Invoke(new ServerException(m));
                    break;
                case "push":
                    Pushed?.Invoke(m.Map("data"));
                    break;
                case "reconnect":
                    // This gateway is stopping: until then it goes on serving, and the next connection resumes.
                    leaveAt = ParleyConnection.NowMs + Math.Max(0, m.Whole("afterMs"));
                    break;
                // A pong has done its work by arriving. Kinds of later versions are left alone.
            }
        }

        private void OnWelcome(Message m)
        {
            bool resumed = m.Flag("resumed");
            // A new session counts the edge's own streams anew.
            if (!resumed) lastSpeech = null;
            session = m.Text("session");
            key = m.Text("key");
            pingMs = Math.Max(1000, m.Whole("pingMs", 25000));
            welcomedAt = ParleyConnection.NowMs;
            refusedToken = null;
            State = ClientState.Online;
            foreach (Message state in m.Maps("streams"))
            {
                ParleyStream stream = Find(state.Whole("s"));
                if (stream != null) Settle(stream, state.Text("state"));
            }
            SendWaiting();
            Welcomed?.Invoke(new Welcome(m));
        }

        /// <summary>What the edge says of a stream that was sent over an earlier connection.</summary>
        private void Settle(ParleyStream stream, string state)
        {
            if (state == "resumed" || state == "ended")
            {
                // A cancel that was lost on the way is said again.
                if (stream.Cancelled) SendCancel(stream);
            }
            else if (state == "unknown" && stream.Request != null)
            {
                stream.Sent = false;
                if (stream.Cancelled) Cancel(stream);
            }
            else
            {
                running.Remove(stream);
                toTell.Enqueue(() => stream.Fail(new StreamException(stream.Last > 0)));
            }
        }

        private void OnFrame(string kind, Message m)
        {
            long s = m.Whole("s");
            ParleyStream stream = Find(s) ?? (s < 0 && kind == "tok" ? OpenSpeech(s, m) : null);
            if (stream == null) return;
            // Before the listeners are called: one of them may say something to the same character.
            if (kind == "err" || kind == "end" && m.Whole("n") <= stream.Last) running.Remove(stream);
            if (stream.Apply(kind, m) == ParleyStream.Applied.Gap) Lose(Protocol.NoCloseFrame, "a piece is missing");
        }

        /// <summary>The stream that the edge opens by this frame; null when it is one that was heard before.</summary>
        private ParleyStream OpenSpeech(long s, Message m)
        {
            if (s >= (lastSpeech?.S ?? 0) || s < int.MinValue) return null;
            var stream = new ParleyStream(this, m.Text("npc"), (int)s, null) { Sent = true };
            lastSpeech = stream;
            running.Add(stream);
            SpeechStarted?.Invoke(stream);
            return stream;
        }

        // ---- streams ----

        private ParleyStream Ask(string npc, string what, string words, string mode, SayOptions o)
        {
            if (State == ClientState.Idle) throw new InvalidOperationException("call Connect first");
            int s = ++lastS;
            var say = new Dictionary<string, object> { { "t", "say" }, { "s", s }, { "npc", npc }, { "mode", mode } };
            if (o != null)
            {
                say["context"] = o.Context;
                say["budgetMs"] = o.BudgetMs;
                say["maxTokens"] = o.MaxTokens;
                say["g"] = o.Generation;
                if (o.Generation.HasValue) generations[npc] = Math.Max(o.Generation.Value, NewestGeneration(npc));
            }
            say[what] = words;
            var stream = new ParleyStream(this, npc, s, Json.Write(say));
            if (State == ClientState.Closed)
                toTell.Enqueue(() => stream.Fail(new ClosedException(Protocol.Bye, "the client is closed")));
            else running.Add(stream);
            if (State == ClientState.Online) SendWaiting();
            return stream;
        }

        /// <summary>The newest generation that this character was asked with; -1: none.</summary>
        internal long NewestGeneration(string npc)
        {
            return generations.TryGetValue(npc, out long newest) ? newest : -1;
        }

        internal void Cancel(ParleyStream stream)
        {
            if (stream.Sent)
            {
                if (State == ClientState.Online) SendCancel(stream);
                return;
            }
            // The edge has never heard of it, so it ends here.
            if (running.Remove(stream)) toTell.Enqueue(() => stream.Finish(End.NeverSent()));
        }

        private void SendCancel(ParleyStream stream)
        {
            Send(Json.Write(new Dictionary<string, object> { { "t", "cancel" }, { "s", stream.S } }));
        }

        /// <summary>Sends what waits for a connection, lowest number first, as the list has them.</summary>
        private void SendWaiting()
        {
            foreach (ParleyStream stream in running)
            {
                if (stream.Sent) continue;
                stream.Sent = true;
                Send(stream.Request);
            }
        }

        private ParleyStream Find(long s)
        {
            foreach (ParleyStream stream in running) if (stream.S == s) return stream;
            return null;
        }
    }
}
