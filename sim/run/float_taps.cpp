#include "sim/run/float_taps.h"

#include <utility>
#include <variant>

#include "sim/error.h"

namespace qsim::run {

FloatTaps::FloatTaps(const FloatSource& source, std::int64_t image,
                     const std::set<std::string>& wanted, const Piece& piece,
                     FloatRun::State carried)
    : parts_(source.model.parts()), run_(source.model), wanted_(wanted) {
  if (piece.length == 0 && LengthOf(source.inputs, image) == 0) {
    state_ = run_.Begin(source.inputs, image, std::move(carried));
  } else {
    state_ = run_.Begin(PieceOf(source.inputs, image, piece), 0, std::move(carried));
  }
}

void FloatTaps::Compute(int part) {
  taps_.clear();
  run_.Part(part, state_, [&](const network::Node& n, const FloatTensor& value) {
    if (n.compared && wanted_.contains(n.name)) taps_.emplace(n.name, value);
  });
}

const FloatTensor* FloatTaps::Find(const network::Node* node) {
  if (node == nullptr) return nullptr;
  if (node->part < part_) {
    throw InternalError("float tensor '" + node->name + "' is asked for too late");
  }
  while (part_ < node->part) Compute(++part_);
  const auto found = taps_.find(node->name);
  return found == taps_.end() ? nullptr : &found->second;
}

FloatRun::State FloatTaps::Carried() {
  while (part_ + 1 < parts_) Compute(++part_);
  return run_.Carried(std::move(state_));
}

namespace {

// As the program stores them.
IntTensor IdsOf(const TensorInfo& info, const TokenInputs& tokens) {
  const IntTensor& given = tokens.ids;
  IntTensor ids(info.dtype, {given.size()});
  std::visit(
      [&](auto& values) {
        for (std::size_t i = 0; i < values.size(); ++i) {
          values[i] = static_cast<typename std::decay_t<decltype(values)>::value_type>(
              given.At(static_cast<std::int64_t>(i)));
        }
      },
      ids.storage());
  return ids;
}

}  // namespace

std::optional<IntTensor> GivenInput(const Bundle& bundle, const FloatSource& source,
                                    std::int64_t image, const std::string& name,
                                    const Piece& piece) {
  if (source.model.FunctionOf<network::Pixels>(name) != nullptr)
    return SliceImage(std::get<ImageInputs>(source.inputs.data).pixels, image);
  if (source.model.FunctionOf<network::Tokens>(name) == nullptr) return std::nullopt;
  const ModelInputs part = PieceOf(source.inputs, image, piece);
  return IdsOf(bundle.program.Tensor(name), std::get<TokenInputs>(part.data));
}

IntTensor ProgramInput(const Bundle& bundle, const FloatSource& source, std::int64_t image,
                       const std::string& name, FloatTaps& taps, std::int64_t* saturated,
                       const Piece& piece) {
  if (std::optional<IntTensor> given = GivenInput(bundle, source, image, name, piece))
    return *std::move(given);
  const FloatTensor* value = taps.Find(source.model.Find(name));
  if (value == nullptr) throw InternalError("input '" + name + "' has no float tensor");
  return bundle.GridOf(name).Quantize(value->data, saturated);
}

}  // namespace qsim::run
